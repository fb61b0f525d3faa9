//! The head of an answer.

use crate::base::as_written::{AsWritten, Spelling, write_field};
use bytes::{BufMut, BytesMut};
use http::{Response, StatusCode, Version, header};
use http_body::Body;
use std::{
    cell::RefCell,
    io::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

/// Room for most heads; a buffer that grows makes it again.
const USUAL_BYTES: usize = 1 << 10;

const CRLF: &[u8] = b"\r\n";

/// What a request says of its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// It is without its body.
    pub(super) is_head: bool,
    pub(super) version: Version,
    pub(super) takes_trailers: bool,
    /// Whether another request may follow.
    pub(super) persists: bool,
}

/// How the client learns where a body ends (RFC 9112, 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    None,
    /// So many bytes are left.
    Length(u64),
    Chunked,
    /// Where the connection does.
    Close,
}

/// How the client learns where this body ends.
pub(super) fn framing<B: Body>(response: &Response<B>, terms: Terms) -> Framing {
    let status = response.status();
    let has_none = terms.is_head
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    match response.body().size_hint().exact() {
        _ if has_none => Framing::None,
        Some(length) => Framing::Length(length),
        None if terms.version == Version::HTTP_11 => Framing::Chunked,
        None => Framing::Close,
    }
}

/// Writes the head. What says how the body ends is written anew.
pub(super) fn write<B: Body>(
    response: &Response<B>,
    written: Option<&AsWritten>,
    framing: Framing,
    terms: Terms,
) -> BytesMut {
    let (status, headers) = (response.status(), response.headers());
    let mut head = BytesMut::with_capacity(USUAL_BYTES);
    head.put_slice(match terms.version {
        Version::HTTP_10 => b"HTTP/1.0 ",
        _ => b"HTTP/1.1 ",
    });
    head.put_slice(status.as_str().as_bytes());
    head.put_u8(b' ');
    match written.and_then(|written| written.reason.as_ref()) {
        Some(reason) => head.put_slice(reason),
        None => head.put_slice(status.canonical_reason().unwrap_or_default().as_bytes()),
    }
    head.put_slice(CRLF);
    let mut spelling = Spelling::new(written);
    let says_length = says_length(status, framing);
    let mut has_date = false;
    for (name, value) in headers {
        let goes = match *name {
            header::CONTENT_LENGTH => says_length,
            header::TRANSFER_ENCODING => false,
            header::TRAILER => terms.takes_trailers && framing == Framing::Chunked,
            _ => true,
        };
        has_date |= name == header::DATE;
        if goes {
            write_field(&mut head, spelling.of(name), value.as_bytes());
        }
    }
    match framing {
        Framing::Length(length) => {
            // Nothing is written but to memory.
            let _ = write!((&mut head).writer(), "content-length: {length}\r\n");
        }
        Framing::Chunked => head.put_slice(b"transfer-encoding: chunked\r\n"),
        Framing::None if terms.is_head && !headers.contains_key(header::CONTENT_LENGTH) => {
            if let Some(length) = response.body().size_hint().exact().filter(|it| *it > 0) {
                let _ = write!((&mut head).writer(), "content-length: {length}\r\n");
            }
        }
        Framing::None | Framing::Close => {}
    }
    if !has_date {
        date(&mut head);
    }
    if status != StatusCode::SWITCHING_PROTOCOLS {
        if !terms.persists {
            head.put_slice(b"connection: close\r\n");
        } else if terms.version == Version::HTTP_10 {
            head.put_slice(b"connection: keep-alive\r\n");
        }
    }
    head.put_slice(CRLF);
    head
}

/// Whether the length that the upstream says is passed on: it is that of another answer.
fn says_length(status: StatusCode, framing: Framing) -> bool {
    framing == Framing::None && !status.is_informational() && status != StatusCode::NO_CONTENT
}

/// A thread's last date, as text, and its second.
struct Date {
    second: u64,
    text: String,
}

thread_local! {
    static DATE: RefCell<Date> = const { RefCell::new(Date { second: 0, text: String::new() }) };
}

/// Writes the date (RFC 9110, 6.6.1), for upstreams that have no clock.
fn date(head: &mut BytesMut) {
    let now = SystemTime::now();
    let second = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    DATE.with_borrow_mut(|date| {
        if date.second != second || date.text.is_empty() {
            date.second = second;
            date.text = httpdate::fmt_http_date(now);
        }
        write_field(head, b"date", date.text.as_bytes());
    });
}

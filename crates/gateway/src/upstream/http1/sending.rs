//! A request on its way to an upstream.

use super::error::ConnectionError;
use crate::{
    base::as_written::{AsWritten, Spelling, write_field},
    body::{BodyFault, RequestBody},
    transport::socket::Wire,
};
use bytes::{Buf, BufMut};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, header};
use http_body::{Body as _, Frame};
use std::{
    io::{self, IoSlice, Write as _},
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::AsyncWrite;

/// Room for most heads; a buffer that grows makes it again.
const USUAL_BYTES: usize = 1 << 10;

const CRLF: &[u8] = b"\r\n";

pub(super) struct Sending {
    /// What is written next, in this order.
    head: BytesMut,
    data: Bytes,
    tail: &'static [u8],
    /// What comes after that.
    body: RequestBody,
    framing: Framing,
    has_begun: bool,
    /// Whether the upstream is told that no other request follows.
    is_last: bool,
}

/// How the upstream learns where the body ends.
#[derive(Clone, Copy)]
enum Framing {
    /// So many bytes are left.
    Length(u64),
    Chunked,
    /// All has been taken from the body.
    Ended,
}

impl Sending {
    /// Takes the body; one that is whole stays as well.
    pub(super) fn new(request: &mut Request<RequestBody>, authority: &str) -> Self {
        let hint = request.body().size_hint();
        let framing = hint.exact().map_or(Framing::Chunked, Framing::Length);
        let is_last = !matches!(framing, Framing::Length(0)) && may_be_ignored(request.method());
        let head = head(request, authority, framing, is_last);
        let body = match request.body().whole() {
            Some(whole) => RequestBody::Whole(whole),
            None => std::mem::take(request.body_mut()),
        };
        let mut sending = Self {
            head,
            data: Bytes::new(),
            tail: &[],
            body,
            framing,
            has_begun: false,
            is_last,
        };
        if let (Framing::Length(length), RequestBody::Whole(whole)) = (framing, &mut sending.body) {
            // Head and body in one go.
            sending.data = whole.take_bytes().unwrap_or_default();
            debug_assert_eq!(sending.data.len() as u64, length);
            sending.framing = Framing::Ended;
        }
        sending
    }

    /// Whether its connection is not to be used again.
    pub(super) fn is_last(&self) -> bool {
        self.is_last
    }

    /// Whether a byte of it was written.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Leaves the request as it was, where not a byte of it was written. Whether
    /// that is so.
    pub(super) fn take_back(self, request: &mut Request<RequestBody>) -> bool {
        if !self.has_begun && !self.body.is_whole() {
            *request.body_mut() = self.body;
        }
        !self.has_begun
    }

    /// Writes what can be written.
    pub(super) fn poll(
        &mut self,
        wire: &mut Wire,
        cx: &mut Context<'_>,
    ) -> Result<Poll<()>, ConnectionError> {
        loop {
            match self.poll_write(wire, cx)? {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(()) if matches!(self.framing, Framing::Ended) => {
                    return Ok(Poll::Ready(()));
                }
                Poll::Ready(()) => {}
            }
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(None) => self.end(None)?,
                Poll::Ready(Some(Ok(frame))) => self.put(frame)?,
                Poll::Ready(Some(Err(fault))) => return Err(ConnectionError::Request(fault)),
            }
        }
    }

    /// Writes what was taken.
    fn poll_write(&mut self, wire: &mut Wire, cx: &mut Context<'_>) -> io::Result<Poll<()>> {
        loop {
            let parts = [&self.head[..], &self.data[..], self.tail];
            let wire = Pin::new(&mut *wire);
            let written = match parts {
                [[], [], []] => return Ok(Poll::Ready(())),
                [head, [], []] => wire.poll_write(cx, head),
                parts => wire.poll_write_vectored(cx, &parts.map(IoSlice::new)),
            };
            match written? {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(length) => self.advance(length),
            }
        }
    }

    fn advance(&mut self, written: usize) {
        self.has_begun = true;
        let head = written.min(self.head.len());
        self.head.advance(head);
        let data = (written - head).min(self.data.len());
        self.data.advance(data);
        self.tail = &self.tail[written - head - data..];
    }

    /// Takes a part of the body.
    fn put(&mut self, frame: Frame<Bytes>) -> Result<(), ConnectionError> {
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => return self.end(frame.trailers_ref()),
        };
        match &mut self.framing {
            Framing::Length(left) => {
                let length = data.len() as u64;
                let fewer = left.checked_sub(length);
                *left = fewer.ok_or(ConnectionError::Request(BodyFault::Malformed(None)))?;
                if *left == 0 {
                    self.framing = Framing::Ended;
                }
            }
            // An empty chunk would end it.
            Framing::Chunked if data.is_empty() => return Ok(()),
            Framing::Chunked => {
                // Nothing is written but to memory.
                let _ = write!((&mut self.head).writer(), "{:x}\r\n", data.len());
                self.tail = CRLF;
            }
            Framing::Ended => {}
        }
        self.data = data;
        Ok(())
    }

    /// There is no more of it.
    fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), ConnectionError> {
        match self.framing {
            Framing::Length(left) if left > 0 => {
                return Err(ConnectionError::Request(BodyFault::Lost));
            }
            Framing::Chunked => {
                self.head.put_slice(b"0\r\n");
                for (name, value) in trailers.into_iter().flatten() {
                    write_field(&mut self.head, name.as_str().as_bytes(), value.as_bytes());
                }
                self.head.put_slice(CRLF);
            }
            Framing::Length(_) | Framing::Ended => {}
        }
        self.framing = Framing::Ended;
        Ok(())
    }
}

/// A request's head. What says how its body ends is written anew.
/// A request over HTTP/1.0 may have no `Host`: then it gets the upstream's own, as nginx does.
fn head(
    request: &Request<RequestBody>,
    authority: &str,
    framing: Framing,
    is_last: bool,
) -> BytesMut {
    let mut head = BytesMut::with_capacity(USUAL_BYTES);
    head.put_slice(request.method().as_str().as_bytes());
    head.put_u8(b' ');
    let written = request.extensions().get::<AsWritten>();
    let target = request.uri().path_and_query();
    let target = target.map_or("/", |target| target.as_str());
    let raw = written.and_then(|written| written.target(target));
    head.put_slice(raw.unwrap_or(target.as_bytes()));
    head.put_slice(b" HTTP/1.1\r\n");
    let (mut has_length, mut has_host) = (false, false);
    let has_trailers = request.body().may_have_trailers();
    let mut spelling = Spelling::new(written);
    for (name, value) in request.headers() {
        has_host |= name == header::HOST;
        if name == header::CONTENT_LENGTH {
            has_length = true;
        } else if name != header::TRANSFER_ENCODING && (has_trailers || name != header::TRAILER) {
            write_field(&mut head, spelling.of(name), value.as_bytes());
        }
    }
    if !has_host {
        write_field(&mut head, b"host", authority.as_bytes());
    }
    if is_last {
        head.put_slice(b"connection: close\r\n");
    }
    match framing {
        Framing::Length(0) if !has_length && !means_a_body(request.method()) => {}
        Framing::Length(length) => {
            let _ = write!((&mut head).writer(), "content-length: {length}\r\n");
        }
        Framing::Chunked => head.put_slice(b"transfer-encoding: chunked\r\n"),
        Framing::Ended => {}
    }
    head.put_slice(CRLF);
    head
}

/// Whether servers are about that take no body with this method, and what was one for
/// the next request: RFC 9110, 9.3.1 gives it no meaning. After the last request of a
/// connection they have none.
fn may_be_ignored(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::DELETE
    )
}

/// Whether a request without a body says so (RFC 9110, 8.6).
fn means_a_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

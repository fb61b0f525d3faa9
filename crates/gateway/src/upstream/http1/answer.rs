//! The head of an answer, and how it says that its body ends.

use super::{IncomingBody, error::ConnectionError};
use crate::base::as_written::Names;
use bytes::Buf;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use httparse::{ParserConfig, Status};
use std::mem::MaybeUninit;

/// The most headers of an answer: what fits into its bytes, and no more than are sorted
/// without being felt.
const HEADERS_MAX: usize = 500;

/// Room for the headers that are added on the way to the client.
const HEADERS_ADDED: usize = 4;

pub(super) struct Answer {
    pub(super) response: Response<IncomingBody>,
    /// Whether the connection is kept.
    pub(super) persists: bool,
}

impl Answer {
    /// Whether the answer is still to come (RFC 9110, 15.2). That to an upgrade
    /// is one.
    pub(super) fn is_interim(&self) -> bool {
        let status = self.response.status();
        status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
    }
}

/// Whether the empty line after a head is there, of which so many bytes were
/// looked at before. Heads that come byte by byte are read only once.
pub(super) fn has_end(read: &[u8], judged: usize) -> bool {
    let from = judged.saturating_sub(b"\n\r".len());
    memchr::memchr_iter(b'\n', &read[from..]).any(|at| {
        let rest = &read[from + at + 1..];
        rest.starts_with(b"\n") || rest.starts_with(b"\r\n")
    })
}

/// Takes a head off the front, where it has come to its end. `to_head`: it
/// answers a HEAD.
pub(super) fn read(read: &mut BytesMut, to_head: bool) -> Result<Option<Answer>, ConnectionError> {
    let mut fields = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut []);
    let status = ParserConfig::default().parse_response_with_uninit_headers(
        &mut parsed,
        read,
        &mut fields,
    )?;
    let Status::Complete(length) = status else {
        return Ok(None);
    };
    // The copy is what its values share, so that they do not keep the buffer.
    let head = Bytes::copy_from_slice(&read[..length]);
    let mut headers = HeaderMap::with_capacity(parsed.headers.len() + HEADERS_ADDED);
    let mut names = Names::with_capacity(parsed.headers.len());
    for field in &*parsed.headers {
        names.add(
            field.name.as_ptr().addr() - read.as_ptr().addr(),
            field.name.as_bytes(),
        );
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let name = name.map_err(|_| httparse::Error::HeaderName)?;
        let start = field.value.as_ptr().addr() - read.as_ptr().addr();
        let value = head.slice(start..start + field.value.len());
        let value = HeaderValue::from_maybe_shared(value);
        headers.append(name, value.map_err(|_| httparse::Error::HeaderValue)?);
    }
    let code = parsed.code.unwrap_or_default();
    let code = StatusCode::from_u16(code).map_err(|_| httparse::Error::Status)?;
    let is_http11 = parsed.version == Some(1);
    let reason = parsed
        .reason
        .filter(|it| Some(*it) != code.canonical_reason());
    let reason = reason.map(|reason| Bytes::copy_from_slice(reason.as_bytes()));
    read.advance(length);
    let coming = framing(code, &headers, to_head)?;
    // HTTP/1.0 has no chunks: after some, nobody knows what is next (RFC 9112, 6.1).
    let is_last = match coming {
        IncomingBody::Close => true,
        IncomingBody::Chunks(_) => !is_http11,
        IncomingBody::Ended | IncomingBody::Length(_) => false,
    };
    let persists = !is_last && is_kept(&headers, is_http11);
    let mut response = Response::new(coming);
    *response.status_mut() = code;
    *response.headers_mut() = headers;
    if let Some(written) = names.of(&head, reason, None) {
        response.extensions_mut().insert(written);
    }
    Ok(Some(Answer { response, persists }))
}

/// How a body ends (RFC 9112, 6.3), where that has one reading only.
fn framing(
    code: StatusCode,
    headers: &HeaderMap,
    to_head: bool,
) -> Result<IncomingBody, ConnectionError> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let is_chunked = match (codings.next(), codings.next()) {
        (None, _) => false,
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => true,
        _ => {
            return Err(ConnectionError::Framing(
                "Transfer-Encoding is not one chunked",
            ));
        }
    };
    let length = length(headers)?;
    if is_chunked && length.is_some() {
        return Err(ConnectionError::Framing(
            "it has Content-Length and Transfer-Encoding",
        ));
    }
    let has_none = to_head
        || code.is_informational()
        || matches!(code, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    Ok(match length {
        _ if has_none => IncomingBody::Ended,
        Some(0) => IncomingBody::Ended,
        Some(length) => IncomingBody::Length(length),
        None if is_chunked => IncomingBody::chunks(),
        None => IncomingBody::Close,
    })
}

/// The length that an answer says; several times, if always the same.
fn length(headers: &HeaderMap) -> Result<Option<u64>, ConnectionError> {
    let mut all = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(first) = all.next() else {
        return Ok(None);
    };
    let wrong = ConnectionError::Framing("Content-Length is not one number");
    let digits = first.as_bytes();
    let text = std::str::from_utf8(digits).ok();
    match text.and_then(|text| text.parse::<u64>().ok()) {
        Some(length)
            if digits.iter().all(u8::is_ascii_digit)
                && i64::try_from(length).is_ok()
                && all.all(|other| other == first) =>
        {
            Ok(Some(length))
        }
        _ => Err(wrong),
    }
}

/// Whether the connection stays for another request (RFC 9112, 9.3).
fn is_kept(headers: &HeaderMap, is_http11: bool) -> bool {
    let says = |wanted: &[u8]| {
        headers
            .get_all(header::CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .any(|option| option.trim_ascii().eq_ignore_ascii_case(wanted))
    };
    !says(b"close") && (is_http11 || says(b"keep-alive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &str, to_head: bool) -> Result<(IncomingBody, bool), ConnectionError> {
        let mut bytes = BytesMut::from(format!("{lines}\r\n\r\nrest").as_bytes());
        assert!(has_end(&bytes, 0));
        let answer = read(&mut bytes, to_head)?.expect("it is whole");
        assert_eq!(bytes, "rest");
        Ok((answer.response.into_body(), answer.persists))
    }

    #[test]
    fn how_a_body_ends_and_whether_the_connection_stays() {
        for (lines, wanted) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 4", "Length(4) true"),
            ("HTTP/1.1 200\r\nContent-Length: 4", "Length(4) true"),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 4",
                "Length(4) true",
            ),
            ("HTTP/1.1 200 OK\r\ncontent-length: 0", "Ended true"),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked",
                "Chunks(Size) true",
            ),
            ("HTTP/1.1 200 OK\r\nx: y", "Close false"),
            ("HTTP/1.1 204 No Content\r\ncontent-length: 4", "Ended true"),
            ("HTTP/1.1 304 Not Modified\r\netag: x", "Ended true"),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: x, Close",
                "Length(4) false",
            ),
            ("HTTP/1.0 200 OK\r\ncontent-length: 4", "Length(4) false"),
            (
                "HTTP/1.0 200 OK\r\ncontent-length: 4\r\nconnection: Keep-Alive",
                "Length(4) true",
            ),
        ] {
            let (coming, persists) = head(lines, false).expect(lines);
            assert_eq!(format!("{coming:?} {persists}"), wanted, "{lines}");
        }
        let to_head = head("HTTP/1.1 200 OK\r\ncontent-length: 4", true);
        assert!(matches!(to_head, Ok((IncomingBody::Ended, true))));
    }

    #[test]
    fn what_has_two_readings_is_none() {
        for lines in [
            "content-length: 4\r\ntransfer-encoding: chunked",
            "content-length: 4\r\ncontent-length: 5",
            "content-length: 4, 4",
            "content-length: +4",
            "content-length:",
            "content-length: 9223372036854775808",
            "transfer-encoding: gzip, chunked",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        ] {
            let read = head(&format!("HTTP/1.1 200 OK\r\n{lines}"), false);
            assert!(matches!(read, Err(ConnectionError::Framing(_))), "{lines}");
        }
        let old = "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\nconnection: keep-alive";
        let (old, persists) = head(old, false).unwrap();
        assert!(matches!(old, IncomingBody::Chunks(_)) && !persists);
    }

    #[test]
    fn the_end_of_a_head_is_seen_however_it_comes() {
        let whole = b"HTTP/1.1 200 OK\r\na: b\r\n\r\n";
        for judged in 0..whole.len() {
            assert!(has_end(whole, judged), "{judged}");
            assert!(!has_end(
                &whole[..whole.len() - 1],
                judged.min(whole.len() - 1)
            ));
        }
    }
}

//! The head of an answer, and how it says that its body ends.

use super::{
    IncomingBody,
    error::{ConnectionError, HeadFault},
};
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
    let status = ParserConfig::default()
        .parse_response_with_uninit_headers(&mut parsed, read, &mut fields)
        .map_err(|error| ConnectionError::Head(error, HeadFault::of(read)))?;
    let wrong = |error| ConnectionError::Head(error, HeadFault::of(read));
    let Status::Complete(length) = status else {
        return Ok(None);
    };
    // The copy is what its values share, so that they do not keep the buffer.
    let head = Bytes::copy_from_slice(&read[..length]);
    let mut headers = HeaderMap::with_capacity(parsed.headers.len() + HEADERS_ADDED);
    let mut names = Names::with_capacity(parsed.headers.len());
    let mut framing_headers = FramingHeaders::default();
    for field in &*parsed.headers {
        names.add(
            field.name.as_ptr().addr() - read.as_ptr().addr(),
            field.name.as_bytes(),
        );
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let name = name.map_err(|_| wrong(httparse::Error::HeaderName))?;
        let start = field.value.as_ptr().addr() - read.as_ptr().addr();
        let value = head.slice(start..start + field.value.len());
        let value = HeaderValue::from_maybe_shared(value);
        framing_headers.note(&name, field.value);
        headers.append(
            name,
            value.map_err(|_| wrong(httparse::Error::HeaderValue))?,
        );
    }
    let code = parsed.code.unwrap_or_default();
    let code = StatusCode::from_u16(code).map_err(|_| wrong(httparse::Error::Status))?;
    let is_http11 = parsed.version == Some(1);
    let reason = parsed
        .reason
        .filter(|it| Some(*it) != code.canonical_reason());
    let reason = reason.map(|reason| Bytes::copy_from_slice(reason.as_bytes()));
    let coming = framing(code, &framing_headers, to_head)?;
    // HTTP/1.0 has no chunks: after some, nobody knows what is next (RFC 9112, 6.1).
    let is_last = match coming {
        IncomingBody::Close => true,
        IncomingBody::Chunks(_) => !is_http11,
        IncomingBody::Ended | IncomingBody::Length(_) => false,
    };
    let persists = !is_last && framing_headers.keeps(is_http11);
    read.advance(length);
    let mut response = Response::new(coming);
    *response.status_mut() = code;
    *response.headers_mut() = headers;
    if let Some(written) = names.of(&head, reason, None) {
        response.extensions_mut().insert(written);
    }
    Ok(Some(Answer { response, persists }))
}

/// What a head says of its body's end and of its connection.
#[derive(Debug, Default)]
struct FramingHeaders<'a> {
    lengths: Values<'a>,
    codings: Values<'a>,
    closes: bool,
    keeps_alive: bool,
}

/// The values of a field that may stand once.
#[derive(Debug, Default)]
enum Values<'a> {
    #[default]
    None,
    /// Once, or several times the same.
    One(&'a [u8], usize),
    Differing,
}

impl<'a> FramingHeaders<'a> {
    fn note(&mut self, name: &HeaderName, value: &'a [u8]) {
        if name == header::CONTENT_LENGTH {
            self.lengths.add(value);
        } else if name == header::TRANSFER_ENCODING {
            self.codings.add(value);
        } else if name == header::CONNECTION {
            for option in value.split(|byte| *byte == b',') {
                let option = option.trim_ascii();
                self.closes |= option.eq_ignore_ascii_case(b"close");
                self.keeps_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        }
    }

    /// Whether the connection stays for another request (RFC 9112, 9.3).
    fn keeps(&self, is_http11: bool) -> bool {
        !self.closes && (is_http11 || self.keeps_alive)
    }

    fn is_chunked(&self) -> Result<bool, ConnectionError> {
        match self.codings {
            Values::None => Ok(false),
            Values::One(coding, 1) if coding.eq_ignore_ascii_case(b"chunked") => Ok(true),
            _ => Err(ConnectionError::Framing(
                "Transfer-Encoding is not one chunked",
            )),
        }
    }

    /// The length that an answer says; several times, if always the same.
    fn length(&self) -> Result<Option<u64>, ConnectionError> {
        let digits = match self.lengths {
            Values::None => return Ok(None),
            Values::One(digits, _) if digits.iter().all(u8::is_ascii_digit) => digits,
            _ => &[],
        };
        let text = std::str::from_utf8(digits).ok();
        let length = text.and_then(|text| text.parse::<u64>().ok());
        let wrong = ConnectionError::Framing("Content-Length is not one number");
        match length.filter(|length| i64::try_from(*length).is_ok()) {
            Some(length) => Ok(Some(length)),
            None => Err(wrong),
        }
    }
}

impl<'a> Values<'a> {
    fn add(&mut self, value: &'a [u8]) {
        *self = match *self {
            Self::None => Self::One(value, 1),
            Self::One(first, times) if first == value => Self::One(first, times + 1),
            _ => Self::Differing,
        };
    }
}

/// How a body ends (RFC 9112, 6.3), where that has one reading only.
fn framing(
    code: StatusCode,
    framing_headers: &FramingHeaders<'_>,
    to_head: bool,
) -> Result<IncomingBody, ConnectionError> {
    let (is_chunked, length) = (framing_headers.is_chunked()?, framing_headers.length()?);
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

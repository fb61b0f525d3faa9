//! The head of a request.

use super::{
    framing::Coming,
    line::{self, Says},
    policy::Limits,
};
use crate::base::{
    as_written::{Escaped, Names},
    malformed::Malformed,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri, Version,
    header::{EXPECT, TE},
    request::Parts,
    uri::PathAndQuery,
};
use std::ops::Range;

/// Room for the headers that are added on the way to the upstream.
const HEADERS_ADDED: usize = 8;

/// How much of a request line is looked at before it has come to its end.
const BEGINNING_BYTES: usize = 128;

/// A request's head, and what it says of what comes next.
#[derive(Debug)]
pub(crate) struct RequestHead {
    pub(crate) parts: Parts,
    pub(crate) body: Coming,
    /// Whether the client waits to be told to send the body.
    pub(crate) expects: bool,
    /// Whether the client can take trailers.
    pub(crate) takes_trailers: bool,
    /// Whether it lets the connection be.
    pub(crate) persists: bool,
}

/// Reads a head, line by line as they come.
#[derive(Debug, Default)]
pub(crate) struct HeadReader {
    /// Where the line begins that comes next, and how far it was looked for its end.
    line: usize,
    looked: usize,
    has_empty_line: bool,
    request: Option<RequestSpan>,
    framing: Framing,
    fields: Vec<FieldSpan>,
}

#[derive(Debug, Clone)]
struct RequestSpan {
    method: Range<usize>,
    target: Range<usize>,
    is_http11: bool,
}

#[derive(Debug, Clone)]
struct FieldSpan {
    name: Range<usize>,
    value: Range<usize>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Framing {
    #[default]
    None,
    Length(u64),
    Chunked,
}

impl HeadReader {
    /// Looks at all that has come of a head, of which the beginning was looked at
    /// before. Its length, once it has ended.
    pub(crate) fn feed(&mut self, read: &[u8], limits: Limits) -> Result<Option<usize>, Malformed> {
        while let Some(at) = memchr::memchr(b'\n', &read[self.looked..]) {
            let end = self.looked + at + 1;
            if end > limits.head_bytes {
                return Err(Malformed::HeadTooLarge);
            }
            if self.request.is_none() {
                line::may_begin(&read[self.line..end - 1])?;
            }
            let content = line::content(&read[self.line..end])?;
            let has_ended = self.take_line(self.line, content, limits.headers)?;
            self.line = end;
            self.looked = end;
            if has_ended {
                return Ok(Some(end));
            }
        }
        self.looked = read.len();
        if read.len() > limits.head_bytes {
            return Err(Malformed::HeadTooLarge);
        }
        if self.request.is_none() {
            // Its beginning alone: this is looked at each time that more has come.
            let begun = &read[self.line..];
            line::may_begin(&begun[..begun.len().min(BEGINNING_BYTES)])?;
        }
        Ok(None)
    }

    /// Whether that was the last line.
    fn take_line(
        &mut self,
        start: usize,
        content: &[u8],
        fields_max: usize,
    ) -> Result<bool, Malformed> {
        let Some(request) = &self.request else {
            if content.is_empty() {
                if self.has_empty_line {
                    return Err(Malformed::EmptyLines);
                }
                self.has_empty_line = true;
                return Ok(false);
            }
            let request = line::request(content)?;
            let target = start + request.method.len() + b" ".len();
            self.request = Some(RequestSpan {
                method: start..start + request.method.len(),
                target: target..target + request.target.len(),
                is_http11: request.is_http11,
            });
            return Ok(false);
        };
        if content.is_empty() {
            return Ok(true);
        }
        if self.fields.len() == fields_max {
            return Err(Malformed::TooManyHeaders);
        }
        let field = line::field(content)?;
        self.framing = framed(self.framing, field.says, request.is_http11)?;
        let name = start..start + field.name.len();
        let value = name.end + b":".len() + leading_spaces(&content[field.name.len() + 1..]);
        self.fields.push(FieldSpan {
            name,
            value: value..value + field.value.len(),
        });
        Ok(false)
    }

    /// Makes a request of a head that has ended.
    pub(crate) fn finish(self, head: &Bytes) -> Result<RequestHead, Malformed> {
        let request = self.request.ok_or(Malformed::RequestLine)?;
        let method = Method::from_bytes(&head[request.method]);
        let method = method.map_err(|_| Malformed::RequestLine)?;
        let mut names = Names::with_capacity(self.fields.len());
        let mut headers = HeaderMap::with_capacity(self.fields.len() + HEADERS_ADDED);
        let mut flags = Flags::default();
        for FieldSpan { name, value } in self.fields {
            names.add(name.start, &head[name.clone()]);
            let name = HeaderName::from_bytes(&head[name]).map_err(|_| Malformed::Name)?;
            let value = HeaderValue::from_maybe_shared(head.slice(value));
            let value = value.map_err(|_| Malformed::Control)?;
            flags.note(&name, &value);
            headers
                .try_append(name, value)
                .map_err(|_| Malformed::TooManyHeaders)?;
        }
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.method = method;
        let (uri, escaped) = uri(head, request.target)?;
        parts.uri = uri;
        parts.headers = headers;
        parts.version = if request.is_http11 {
            Version::HTTP_11
        } else {
            Version::HTTP_10
        };
        if let Some(written) = names.of(head, None, escaped) {
            parts.extensions.insert(written);
        }
        let body = match self.framing {
            Framing::None | Framing::Length(0) => Coming::Ended,
            Framing::Length(length) => Coming::Length(length),
            Framing::Chunked => Coming::chunks(),
        };
        Ok(RequestHead {
            expects: flags.expects && request.is_http11 && !body.has_ended(),
            takes_trailers: flags.takes_trailers && request.is_http11,
            persists: flags.keeps.unwrap_or(request.is_http11),
            parts,
            body,
        })
    }
}

/// What a head says of its connection.
#[derive(Debug, Default)]
struct Flags {
    expects: bool,
    takes_trailers: bool,
    keeps: Option<bool>,
}

impl Flags {
    fn note(&mut self, name: &HeaderName, value: &HeaderValue) {
        if name == http::header::CONNECTION {
            if lists(value, b"close") {
                self.keeps = Some(false);
            } else if self.keeps.is_none() && lists(value, b"keep-alive") {
                self.keeps = Some(true);
            }
        } else if name == TE {
            self.takes_trailers |= lists(value, b"trailers");
        } else if name == EXPECT {
            self.expects |= value.as_bytes().eq_ignore_ascii_case(b"100-continue");
        }
    }
}

/// Whether a value is a list with this in it.
fn lists(value: &HeaderValue, wanted: &[u8]) -> bool {
    value
        .as_bytes()
        .split(|byte| *byte == b',')
        .any(|one| one.trim_ascii().eq_ignore_ascii_case(wanted))
}

fn leading_spaces(value: &[u8]) -> usize {
    value.len() - value.trim_ascii_start().len()
}

fn framed(before: Framing, says: Says, is_http11: bool) -> Result<Framing, Malformed> {
    match (before, says) {
        (framing, Says::Other) => Ok(framing),
        (Framing::None, Says::Length(length)) => Ok(Framing::Length(length)),
        (Framing::None, Says::Chunked) if !is_http11 => Err(Malformed::OldEncoding),
        (Framing::None, Says::Chunked) => Ok(Framing::Chunked),
        (Framing::Length(_), Says::Length(_)) => Err(Malformed::Lengths),
        (Framing::Chunked, Says::Chunked) => Err(Malformed::Encoding),
        (Framing::Length(_), Says::Chunked) | (Framing::Chunked, Says::Length(_)) => {
            Err(Malformed::LengthAndEncoding)
        }
    }
}

/// A target as the rest of the gateway knows it. What may not stand in one (RFC 3986, 2)
/// and has one reading all the same is escaped there: browsers and scripts send it, and an
/// upstream gets it as it came.
fn uri(head: &Bytes, target: Range<usize>) -> Result<(Uri, Option<Escaped>), Malformed> {
    let raw = head.slice(target);
    let is_odd = |byte: &u8| !byte.is_ascii() || is_bracket(*byte);
    if !raw.iter().any(is_odd) {
        return Ok((parsed(raw)?, None));
    }
    let escaped = escaped(&raw);
    if raw.first() != Some(&b'/') {
        return Ok((parsed(escaped)?, None));
    }
    let uri = parsed(escaped.clone())?;
    // Servers differ in what bytes of no text are in a path: they get what was matched.
    let path = raw.split(|byte| *byte == b'?').next().unwrap_or_default();
    let has_one_reading = std::str::from_utf8(path).is_ok();
    Ok((uri, has_one_reading.then_some(Escaped { raw, escaped })))
}

fn parsed(target: Bytes) -> Result<Uri, Malformed> {
    let parsed = if target.first() == Some(&b'/') {
        PathAndQuery::from_maybe_shared(target).map(Uri::from)
    } else {
        Uri::from_maybe_shared(target)
    };
    parsed.map_err(|_| Malformed::Target)
}

fn is_bracket(byte: u8) -> bool {
    matches!(byte, b'<' | b'>' | b'"' | b'`')
}

fn escaped(raw: &[u8]) -> Bytes {
    // Text of other scripts passes as it is: it has been read like that all along.
    let is_text = std::str::from_utf8(raw).is_ok();
    let mut text = Vec::with_capacity(raw.len() + 16);
    for byte in raw {
        if is_bracket(*byte) || (!byte.is_ascii() && !is_text) {
            text.extend_from_slice(&escape(*byte));
        } else {
            text.push(*byte);
        }
    }
    text.into()
}

fn escape(byte: u8) -> [u8; 3] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |four: u8| DIGITS[usize::from(four & 15)];
    [b'%', digit(byte >> 4), digit(byte)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::as_written::{AsWritten, Spelling};

    const LIMITS: Limits = Limits {
        head_bytes: 400,
        headers: 20,
    };

    fn read(text: &[u8]) -> Result<Option<RequestHead>, Malformed> {
        let mut reader = HeadReader::default();
        let Some(length) = reader.feed(text, LIMITS)? else {
            return Ok(None);
        };
        reader
            .finish(&Bytes::copy_from_slice(&text[..length]))
            .map(Some)
    }

    fn target(target: &[u8]) -> String {
        let text = [b"GET ", target, b" HTTP/1.1\r\n\r\n"].concat();
        read(&text).unwrap().unwrap().parts.uri.to_string()
    }

    #[test]
    fn a_head_is_read() {
        let text = b"\r\nPOST /a?b HTTP/1.1\r\nHost:  a \r\nX-Y:\r\nCookie: a=\"b\"\r\n\
            content-length: 3\r\nExpect: 100-Continue\r\nTE: gzip, Trailers\r\n\r\nabc";
        let head = read(text).unwrap().unwrap();
        assert_eq!(head.parts.method, "POST");
        assert_eq!(head.parts.uri, "/a?b");
        assert_eq!(head.parts.headers["host"], "a");
        assert_eq!(head.parts.headers["x-y"], "");
        assert_eq!(head.parts.headers["cookie"], "a=\"b\"");
        assert!(matches!(head.body, Coming::Length(3)));
        assert!(head.expects && head.takes_trailers && head.persists);
        let written = head.parts.extensions.get::<AsWritten>();
        let name = HeaderName::from_static("x-y");
        assert_eq!(Spelling::new(written).of(&name), b"X-Y");
    }

    #[test]
    fn who_lets_the_connection_be() {
        for (rest, persists) in [
            ("1.1\r\n", true),
            ("1.1\r\nconnection: x, Close\r\n", false),
            (
                "1.1\r\nconnection: keep-alive\r\nconnection: close\r\n",
                false,
            ),
            ("1.0\r\n", false),
            ("1.0\r\nconnection: Keep-Alive\r\n", true),
        ] {
            let head = read(format!("GET / HTTP/{rest}\r\n").as_bytes());
            assert_eq!(head.unwrap().unwrap().persists, persists, "{rest}");
        }
    }

    #[test]
    fn what_may_not_stand_in_a_target_is_escaped_where_it_has_one_reading() {
        for (raw, read) in [
            (&b"/a<b>`\""[..], "/a%3Cb%3E%60%22"),
            (b"/a?q=\"<>`", "/a?q=%22%3C%3E%60"),
            (b"/caf\xe9?q=\xe9", "/caf%E9?q=%E9"),
            (b"/a?q={|}[]\\^", "/a?q={|}[]\\^"),
            ("/\u{e4}".as_bytes(), "/\u{e4}"),
            (b"http://a/b<", "http://a/b%3C"),
        ] {
            assert_eq!(target(raw), read);
        }
    }

    #[test]
    fn what_can_be_no_head_is_refused_before_its_end() {
        for (begun, why) in [
            (&b"\x16\x03\x01"[..], Malformed::Control),
            (b"{", Malformed::RequestLine),
            (b"GET / HTTP/1.1\r\na: b\n", Malformed::BareLf),
        ] {
            assert_eq!(read(begun).unwrap_err(), why);
        }
        for begun in [&b""[..], b"GE", b"GET /", b"\r", b"GET / HTTP/1.1\r\na b"] {
            assert!(read(begun).unwrap().is_none(), "{begun:?}");
        }
    }
}

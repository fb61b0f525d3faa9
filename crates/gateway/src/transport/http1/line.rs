//! Single lines of HTTP/1: request lines, fields, chunk sizes.

use crate::base::{header_class::imitates, hop_by_hop::may_be_trailer, malformed::Malformed};

/// `Content-Length` and chunk sizes above this are refused: readers that count
/// in signed numbers take them for negative.
const LENGTH_MAX: u64 = i64::MAX as u64;

/// The most hexadecimal digits of a chunk's size: those of 64 bits.
const CHUNK_DIGITS_MAX: usize = 16;

/// A request line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestLine<'a> {
    pub(super) method: &'a [u8],
    pub(super) target: &'a [u8],
    /// HTTP/1.1, else HTTP/1.0.
    pub(super) is_http11: bool,
}

/// A field line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) name: &'a [u8],
    /// Without the white space around it.
    pub(super) value: &'a [u8],
    pub(super) says: Says,
}

/// What a field says about where its message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    Length(u64),
    Chunked,
    Other,
}

/// A byte that a name may hold (`tchar` of RFC 9110, 5.6.2).
const TOKEN: u8 = 1;
/// One that application servers may take for a dash.
const ODD: u8 = 2;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "it is below 256")]
        let it = byte as u8;
        if it.is_ascii_alphanumeric() {
            classes[byte] = TOKEN;
        }
        byte += 1;
    }
    let others = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < others.len() {
        classes[others[at] as usize] = if others[at] == b'-' {
            TOKEN
        } else {
            TOKEN | ODD
        };
        at += 1;
    }
    classes
};

/// Takes the end off a line that a line feed ends.
pub(crate) fn content(line: &[u8]) -> Result<&[u8], Malformed> {
    line.strip_suffix(b"\r\n").ok_or(Malformed::BareLf)
}

/// Whether bytes hold a control character other than a tab.
fn has_control(bytes: &[u8]) -> bool {
    // Without a branch, so that it is done for many bytes at once.
    let control = bytes.iter().fold(0, |found, &byte| {
        found | (u8::from(byte < 0x20) & u8::from(byte != b'\t')) | u8::from(byte == 0x7f)
    });
    control != 0
}

/// Length of the name that a line begins with, and the classes of its bytes.
fn name(line: &[u8]) -> (usize, u8) {
    let mut all = 0;
    for (at, byte) in line.iter().enumerate() {
        let class = CLASSES[usize::from(*byte)];
        if class == 0 {
            return (at, all);
        }
        all |= class;
    }
    (line.len(), all)
}

/// Reads a request line.
pub(super) fn request(line: &[u8]) -> Result<RequestLine<'_>, Malformed> {
    let (method, _) = name(line);
    let rest = line[method..].strip_prefix(b" ");
    let Some(rest) = rest.filter(|_| method > 0) else {
        return Err(control_or(line, Malformed::RequestLine));
    };
    let space = memchr::memchr(b' ', rest);
    let Some((target, version)) = space.map(|at| (&rest[..at], &rest[at + 1..])) else {
        return Err(control_or(line, Malformed::RequestLine));
    };
    if has_control(line) || memchr::memchr(b'\t', line).is_some() {
        return Err(Malformed::Control);
    }
    let is_http11 = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        other if memchr::memchr(b' ', other).is_some() => return Err(Malformed::RequestLine),
        _ => return Err(Malformed::Version),
    };
    let request = RequestLine {
        method: &line[..method],
        target,
        is_http11,
    };
    let is_options = || *request.method == *b"OPTIONS";
    match target {
        [] => Err(Malformed::RequestLine),
        // Some readers drop the fragment in silence.
        _ if memchr::memchr(b'#', target).is_some() => Err(Malformed::Target),
        [b'/', ..] => Ok(request),
        b"*" if is_options() => Ok(request),
        _ if starts_with(target, b"http://") || starts_with(target, b"https://") => Ok(request),
        _ => Err(Malformed::Target),
    }
}

/// Whether what has come of a request line can still become one.
pub(super) fn may_begin(begun: &[u8]) -> Result<(), Malformed> {
    let (method, _) = name(begun);
    match &begun[method..] {
        [] => Ok(()),
        // The empty line that may come first.
        [b'\r'] if method == 0 => Ok(()),
        [b' ', ..] if method > 0 => Ok(()),
        [odd, ..] => Err(control_or(&[*odd], Malformed::RequestLine)),
    }
}

fn control_or(line: &[u8], other: Malformed) -> Malformed {
    if has_control(line) {
        Malformed::Control
    } else {
        other
    }
}

fn starts_with(text: &[u8], lower: &[u8]) -> bool {
    text.get(..lower.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(lower))
}

/// Splits a field line into name and value, and judges both.
fn split(line: &[u8]) -> Result<(&[u8], &[u8], u8), Malformed> {
    let (end, classes) = name(line);
    if line.get(end) != Some(&b':') || end == 0 {
        return Err(match line.first() {
            Some(b' ' | b'\t') => Malformed::Fold,
            _ => control_or(line, Malformed::Name),
        });
    }
    let value = &line[end + 1..];
    if has_control(value) {
        return Err(Malformed::Control);
    }
    Ok((&line[..end], value, classes))
}

/// Reads a field line of a head, which is not empty.
pub(super) fn field(line: &[u8]) -> Result<Field<'_>, Malformed> {
    let (name, value, classes) = split(line)?;
    if classes & ODD != 0 && imitates(name) {
        return Err(Malformed::Lookalike);
    }
    let value = value.trim_ascii();
    let says = match name.len() {
        14 if name.eq_ignore_ascii_case(b"content-length") => Says::Length(length(value)?),
        17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Malformed::Encoding);
            }
            Says::Chunked
        }
        _ => Says::Other,
    };
    Ok(Field { name, value, says })
}

fn length(digits: &[u8]) -> Result<u64, Malformed> {
    if digits.is_empty() {
        return Err(Malformed::Length);
    }
    digits
        .iter()
        .try_fold(0_u64, |sum, digit| {
            let value = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
            sum.checked_mul(10)?.checked_add(value)
        })
        .filter(|length| *length <= LENGTH_MAX)
        .ok_or(Malformed::Length)
}

/// Reads a trailer, which is not empty: its name and its value.
pub(super) fn trailer(line: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (name, value, _) = split(line)?;
    if may_be_trailer(name) {
        Ok((name, value.trim_ascii()))
    } else {
        Err(Malformed::Trailer)
    }
}

/// The size that a chunk begins with.
pub(crate) fn chunk(line: &[u8]) -> Result<u64, Malformed> {
    let digits = line
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    let after = &line[digits..];
    if has_control(after) {
        return Err(Malformed::Control);
    }
    if !(1..=CHUNK_DIGITS_MAX).contains(&digits) || !matches!(after.first(), None | Some(b';')) {
        return Err(Malformed::ChunkSize);
    }
    let size = line[..digits].iter().fold(0_u64, |size, digit| {
        let value = char::from(*digit).to_digit(16).unwrap_or(0);
        size << 4 | u64::from(value)
    });
    if size > LENGTH_MAX {
        return Err(Malformed::ChunkSize);
    }
    if !after.is_empty() && !is_extensions(after) {
        return Err(Malformed::ChunkExtension);
    }
    Ok(size)
}

/// Whether a line's rest is extensions of a chunk (RFC 9112, 7.1.1): each a `;`, a name,
/// and perhaps `=` and a token or a quoted string, with white space around all of them.
fn is_extensions(mut rest: &[u8]) -> bool {
    while let Some(after) = rest.strip_prefix(b";") {
        let Some(after) = token(skip_spaces(after)) else {
            return false;
        };
        rest = skip_spaces(after);
        if let Some(value) = rest.strip_prefix(b"=") {
            let value = skip_spaces(value);
            let Some(after) = token(value).or_else(|| quoted(value)) else {
                return false;
            };
            rest = skip_spaces(after);
        }
    }
    rest.is_empty()
}

fn skip_spaces(text: &[u8]) -> &[u8] {
    text.trim_ascii_start()
}

/// What comes after a token.
fn token(text: &[u8]) -> Option<&[u8]> {
    let (end, _) = name(text);
    (end > 0).then(|| &text[end..])
}

/// What comes after a quoted string. Controls were refused before.
fn quoted(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.strip_prefix(b"\"")?;
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', _, after @ ..] | [_, after @ ..] => after,
            [] => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Malformed as M;

    #[test]
    fn request_lines() {
        for fine in [
            "GET / HTTP/1.1",
            "M-SEARCH /a?b=%20 HTTP/1.1",
            "OPTIONS * HTTP/1.1",
            "GET HTTP://a/ HTTP/1.1",
            "GET /\u{e4} HTTP/1.1",
        ] {
            let line = request(fine.as_bytes()).unwrap();
            assert!(line.is_http11, "{fine}");
            let text = [line.method, b" ", line.target, b" HTTP/1.1"].concat();
            assert_eq!(text, fine.as_bytes());
            assert_eq!(may_begin(fine.as_bytes()), Ok(()));
        }
        assert!(!request(b"GET / HTTP/1.0").unwrap().is_http11);
        for (bad, why) in [
            ("", M::RequestLine),
            ("GET", M::RequestLine),
            ("GET /", M::RequestLine),
            ("GET  / HTTP/1.1", M::RequestLine),
            ("GET /  HTTP/1.1", M::RequestLine),
            ("GET / HTTP/1.1 ", M::RequestLine),
            (" GET / HTTP/1.1", M::RequestLine),
            ("GET / x HTTP/1.1", M::RequestLine),
            ("GET\t/ HTTP/1.1", M::RequestLine),
            ("G(T / HTTP/1.1", M::RequestLine),
            ("GET /\tHTTP/1.1 HTTP/1.1", M::Control),
            ("GET /\0 HTTP/1.1", M::Control),
            ("GET /\r HTTP/1.1", M::Control),
            ("GET / HTTP/0.9", M::Version),
            ("GET / HTTP/1.2", M::Version),
            ("GET / HTTP/2.0", M::Version),
            ("GET / http/1.1", M::Version),
            ("GET / HTTP/1.10", M::Version),
            ("GET a HTTP/1.1", M::Target),
            ("GET * HTTP/1.1", M::Target),
            ("CONNECT a:1 HTTP/1.1", M::Target),
            ("GET ftp://a/ HTTP/1.1", M::Target),
            ("GET /a#b HTTP/1.1", M::Target),
        ] {
            assert_eq!(request(bad.as_bytes()), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn what_cannot_become_a_request_line_is_seen_at_once() {
        for (begun, why) in [
            ("{", M::RequestLine),
            (" GET", M::RequestLine),
            ("GET\t", M::RequestLine),
            ("\x16\x03", M::Control),
            ("GE\0", M::Control),
            ("GET\r", M::Control),
        ] {
            assert_eq!(may_begin(begun.as_bytes()), Err(why), "{begun:?}");
        }
        for begun in ["", "\r", "G", "GET", "GET ", "GET \0"] {
            assert_eq!(may_begin(begun.as_bytes()), Ok(()), "{begun:?}");
        }
    }

    #[test]
    fn fields() {
        for (line, means) in [
            ("a:", Ok(Says::Other)),
            ("Content-Length: 0", Ok(Says::Length(0))),
            ("content-length:\t007 ", Ok(Says::Length(7))),
            ("TRANSFER-ENCODING: Chunked", Ok(Says::Chunked)),
            ("x_y: z", Ok(Says::Other)),
            ("x: \u{e4}\t", Ok(Says::Other)),
            (": a", Err(M::Name)),
            ("a", Err(M::Name)),
            ("a : b", Err(M::Name)),
            ("a\u{e4}: b", Err(M::Name)),
            ("a\0: b", Err(M::Control)),
            (" a: b", Err(M::Fold)),
            ("\ta", Err(M::Fold)),
            ("a: b\rc", Err(M::Control)),
            ("a: \0", Err(M::Control)),
            ("a: \x7f", Err(M::Control)),
            ("content-length:", Err(M::Length)),
            ("content-length: +1", Err(M::Length)),
            ("content-length: -1", Err(M::Length)),
            ("content-length: 1, 1", Err(M::Length)),
            ("content-length: 1 1", Err(M::Length)),
            ("content-length: 0x1", Err(M::Length)),
            ("content-length: 9223372036854775808", Err(M::Length)),
            ("content-length: 99999999999999999999", Err(M::Length)),
            ("transfer-encoding: gzip, chunked", Err(M::Encoding)),
            ("transfer-encoding: chunked, chunked", Err(M::Encoding)),
            ("transfer-encoding: xchunked", Err(M::Encoding)),
            ("transfer-encoding: \"chunked\"", Err(M::Encoding)),
            ("transfer-encoding: chunked;q=1", Err(M::Encoding)),
            ("transfer-encoding: identity", Err(M::Encoding)),
            ("transfer-encoding:", Err(M::Encoding)),
            ("transfer-encoding: \x0bchunked", Err(M::Control)),
            ("Content_Length: 1", Err(M::Lookalike)),
            ("transfer_encoding: chunked", Err(M::Lookalike)),
            ("X_Forwarded-For: 1.2.3.4", Err(M::Lookalike)),
        ] {
            let said = field(line.as_bytes()).map(|field| field.says);
            assert_eq!(said, means, "{line:?}");
        }
    }

    #[test]
    fn chunks_and_trailers() {
        for (line, means) in [
            ("0", Ok(0)),
            ("00aF", Ok(0xaf)),
            ("5;a=b; c=\"d\"", Ok(5)),
            ("5; a = \"b;\\\"\" ;c", Ok(5)),
            ("5;", Err(M::ChunkExtension)),
            ("5;;a", Err(M::ChunkExtension)),
            ("5;a;", Err(M::ChunkExtension)),
            ("5;=b", Err(M::ChunkExtension)),
            ("5;a=", Err(M::ChunkExtension)),
            ("5;a b", Err(M::ChunkExtension)),
            ("5;a=\"b", Err(M::ChunkExtension)),
            ("5;a=\"b\"c", Err(M::ChunkExtension)),
            ("5;a=b/c", Err(M::ChunkExtension)),
            ("5;GET /internal HTTP/1.1", Err(M::ChunkExtension)),
            ("5;\u{e4}", Err(M::ChunkExtension)),
            ("7fffffffffffffff", Ok(LENGTH_MAX)),
            ("8000000000000000", Err(M::ChunkSize)),
            ("00000000000000005", Err(M::ChunkSize)),
            ("", Err(M::ChunkSize)),
            ("5 ", Err(M::ChunkSize)),
            (" 5", Err(M::ChunkSize)),
            ("+5", Err(M::ChunkSize)),
            ("-1", Err(M::ChunkSize)),
            ("0x5", Err(M::ChunkSize)),
            ("5g", Err(M::ChunkSize)),
            ("5_0", Err(M::ChunkSize)),
            (";a", Err(M::ChunkSize)),
            ("5;a\r", Err(M::Control)),
            ("5\r;", Err(M::Control)),
        ] {
            assert_eq!(chunk(line.as_bytes()), means, "{line:?}");
        }
        assert_eq!(
            trailer(b"x-checksum: 1 "),
            Ok((&b"x-checksum"[..], &b"1"[..]))
        );
        assert_eq!(trailer(b"Content-Length: 1"), Err(M::Trailer));
        assert_eq!(trailer(b"x-forwarded-for: 1"), Err(M::Trailer));
        assert_eq!(trailer(b"Host: a"), Err(M::Trailer));
        assert_eq!(trailer(b"Content_Type: a/b"), Err(M::Trailer));
        assert_eq!(trailer(b"X_Consumer-ID: 1"), Err(M::Trailer));
        assert_eq!(trailer(b" x"), Err(M::Fold));
    }
}

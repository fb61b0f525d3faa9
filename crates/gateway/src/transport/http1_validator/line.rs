//! Single lines of HTTP/1: request lines, fields, chunk sizes.

use super::malformed::Malformed;
use crate::base::{header_class::imitates, hop_by_hop::may_be_trailer};

/// `Content-Length` and chunk sizes above this are refused: readers that count
/// in signed numbers take them for negative.
const LENGTH_MAX: u64 = i64::MAX as u64;

/// The most hexadecimal digits of a chunk's size: those of 64 bits.
const CHUNK_DIGITS_MAX: usize = 16;

/// What a field line says about where its message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
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

/// Judges a request line; true is HTTP/1.1, false HTTP/1.0.
pub(super) fn request(line: &[u8]) -> Result<bool, Malformed> {
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
    let is_http_11 = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        other if memchr::memchr(b' ', other).is_some() => return Err(Malformed::RequestLine),
        _ => return Err(Malformed::Version),
    };
    let is_options = || line[..method] == *b"OPTIONS";
    match target {
        [] => Err(Malformed::RequestLine),
        // A parser further on would drop the fragment in silence.
        _ if memchr::memchr(b'#', target).is_some() => Err(Malformed::Target),
        _ if std::str::from_utf8(target).is_err() => Err(Malformed::Target),
        [b'/', ..] => Ok(is_http_11),
        b"*" if is_options() => Ok(is_http_11),
        _ if starts_with(target, b"http://") || starts_with(target, b"https://") => Ok(is_http_11),
        _ => Err(Malformed::Target),
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

/// Judges a field line of a head, which is not empty.
pub(super) fn field(line: &[u8]) -> Result<Field, Malformed> {
    let (name, value, classes) = split(line)?;
    if classes & ODD != 0 && imitates(name) {
        return Err(Malformed::Lookalike);
    }
    match name.len() {
        14 if name.eq_ignore_ascii_case(b"content-length") => {
            length(value.trim_ascii()).map(Field::Length)
        }
        17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
            if value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                Ok(Field::Chunked)
            } else {
                Err(Malformed::Encoding)
            }
        }
        _ => Ok(Field::Other),
    }
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

/// Judges a trailer, which is not empty.
pub(super) fn trailer(line: &[u8]) -> Result<(), Malformed> {
    let (name, _, _) = split(line)?;
    if may_be_trailer(name) {
        Ok(())
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
            assert_eq!(request(fine.as_bytes()), Ok(true), "{fine}");
        }
        assert_eq!(request(b"GET / HTTP/1.0"), Ok(false));
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
    fn targets_are_text() {
        assert_eq!(request(b"GET /\xff HTTP/1.1"), Err(M::Target));
        assert_eq!(request(b"GET /\xc3\xa4 HTTP/1.1"), Ok(true));
    }

    #[test]
    fn fields() {
        for (line, means) in [
            ("a:", Ok(Field::Other)),
            ("Content-Length: 0", Ok(Field::Length(0))),
            ("content-length:\t007 ", Ok(Field::Length(7))),
            ("TRANSFER-ENCODING: Chunked", Ok(Field::Chunked)),
            ("x_y: z", Ok(Field::Other)),
            ("x: \u{e4}\t", Ok(Field::Other)),
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
            assert_eq!(field(line.as_bytes()), means, "{line:?}");
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
        assert_eq!(trailer(b"x-checksum: 1"), Ok(()));
        assert_eq!(trailer(b"Content-Length: 1"), Err(M::Trailer));
        assert_eq!(trailer(b"x-forwarded-for: 1"), Err(M::Trailer));
        assert_eq!(trailer(b"Host: a"), Err(M::Trailer));
        assert_eq!(trailer(b"Content_Type: a/b"), Err(M::Trailer));
        assert_eq!(trailer(b"X_Consumer-ID: 1"), Err(M::Trailer));
        assert_eq!(trailer(b" x"), Err(M::Fold));
    }
}

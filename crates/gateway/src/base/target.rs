//! The path of a request: one text, for matching and for forwarding.
//!
//! Two parties that read a path differently are a hole: a request could be
//! matched as one thing here and served as another behind. So:
//!
//! - Escapes of unreserved characters (`%41`) are decoded, which RFC 3986,
//!   6.2.2.2 calls equivalent; the decoded text is matched *and* forwarded.
//! - Dot segments, broken escapes, `%00`, `%0a`, `%0d`, control characters as they are
//!   and fragments are refused. Clients resolve dot segments themselves.
//! - What some servers take for the same and others do not (`//`, `\`, `%2f`,
//!   `%5c`, other escapes, parameters as in `/a;b/c`) passes untouched where it
//!   makes no difference, and is refused where the request would belong to
//!   another route if the server behind read it the lenient way
//!   ([`Target::lenient`]).

use std::borrow::Cow;

/// A path that may be matched and forwarded. Without the query.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// What is matched and forwarded.
    pub(crate) path: Cow<'a, str>,
    /// How a lenient server might read it, where that differs.
    pub(crate) lenient: Option<String>,
}

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadTarget {
    #[error("the path does not start with /")]
    Relative,
    #[error("the target is the server itself")]
    Server,
    #[error("the path holds a . or .. segment")]
    DotSegment,
    #[error("the path holds a % that is no escape")]
    BrokenEscape,
    #[error("the path holds a control character")]
    Control,
    #[error("the path could be read as another one")]
    Ambiguous,
}

impl<'a> Target<'a> {
    /// Reads a raw path.
    pub(crate) fn read(raw: &'a str) -> Result<Self, BadTarget> {
        if !raw.starts_with('/') {
            return Err(match raw {
                "*" => BadTarget::Server,
                _ => BadTarget::Relative,
            });
        }
        if is_plain(raw) {
            return Ok(Self {
                path: Cow::Borrowed(raw),
                lenient: None,
            });
        }
        if raw
            .bytes()
            .any(|byte| byte.is_ascii_control() || byte == b' ')
        {
            return Err(BadTarget::Control);
        }
        let path = decode(raw, is_unreserved)?;
        if has_dot_segment(&path) {
            return Err(BadTarget::DotSegment);
        }
        let plain = !path.contains("//") && !path.contains(['%', '\\', ';']);
        if plain {
            return Ok(Self {
                path,
                lenient: None,
            });
        }
        let decoded = decode(&path, |_| true)?.replace('\\', "/");
        // What ends a line or a text for whoever logs it or writes it into a header.
        if decoded.contains(['\0', '\r', '\n']) {
            return Err(BadTarget::Control);
        }
        let lenient = collapse_slashes(&without_parameters(&decoded));
        if has_dot_segment(&lenient) {
            return Err(BadTarget::DotSegment);
        }
        let lenient = (lenient != path).then_some(lenient);
        Ok(Self { path, lenient })
    }
}

/// The one text for all spellings of a path that servers read as the same one: for
/// what is counted by path.
pub(crate) fn canonical(path: &str) -> Cow<'_, str> {
    let mut path = match Target::read(path) {
        Ok(Target { path, lenient }) => lenient.map_or(path, Cow::Owned),
        // It is refused elsewhere.
        Err(_) => Cow::Borrowed(path),
    };
    while path.len() > 1 && path.ends_with('/') {
        match &mut path {
            Cow::Borrowed(path) => *path = &path[..path.len() - 1],
            Cow::Owned(path) => {
                path.pop();
            }
        }
    }
    path
}

/// Whether a path has one reading at first sight, as nearly all have: letters,
/// digits and `-`, `_`, `.`, with no `/` or `.` after a `/`.
fn is_plain(path: &str) -> bool {
    let mut before = 0;
    path.bytes().all(|byte| {
        let allowed = match byte {
            b'/' | b'.' => before != b'/',
            _ => byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_',
        };
        before = byte;
        allowed
    })
}

/// RFC 3986, 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn has_dot_segment(path: &str) -> bool {
    path.contains("/.")
        && path.split('/').any(|segment| {
            // Path parameters do not hide them: servers strip `;x` first.
            matches!(segment.split(';').next(), Some("." | ".."))
        })
}

/// Decodes the escapes of the bytes that `wanted` picks.
fn decode(text: &str, wanted: impl Fn(u8) -> bool) -> Result<Cow<'_, str>, BadTarget> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = after;
            continue;
        }
        let value = after
            .get(..2)
            .and_then(escaped)
            .ok_or(BadTarget::BrokenEscape)?;
        if wanted(value) {
            bytes.push(value);
        } else {
            bytes.extend_from_slice(&rest[..3]);
        }
        rest = &after[2..];
    }
    Ok(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The byte of two hexadecimal digits, in either case.
fn escaped(pair: &[u8]) -> Option<u8> {
    let mut byte = [0];
    hex::decode_to_slice(pair, &mut byte).ok()?;
    Some(byte[0])
}

/// Cuts what servlet containers take for parameters off each segment.
fn without_parameters(path: &str) -> Cow<'_, str> {
    if !path.contains(';') {
        return Cow::Borrowed(path);
    }
    let segments = path.split('/').map(|segment| {
        let end = segment.find(';').unwrap_or(segment.len());
        &segment[..end]
    });
    Cow::Owned(segments.collect::<Vec<_>>().join("/"))
}

fn collapse_slashes(path: &str) -> String {
    let mut result = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !result.ends_with('/') {
            result.push(character);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(raw: &str) -> (String, Option<String>) {
        let target = Target::read(raw).unwrap();
        (target.path.into_owned(), target.lenient)
    }

    #[test]
    fn plain_paths_are_left_alone() {
        for raw in ["/", "/api/contracts", "/a.b/..c/.d", "/ä"] {
            assert_eq!(path(raw), (raw.to_owned(), None));
        }
    }

    #[test]
    fn unreserved_escapes_are_decoded() {
        assert_eq!(path("/%61pi/contracts").0, "/api/contracts");
    }

    #[test]
    fn what_can_be_read_twice_says_so() {
        let lenient = |raw| path(raw).1;
        assert_eq!(lenient("//api//x").as_deref(), Some("/api/x"));
        assert_eq!(lenient("/api%2fx").as_deref(), Some("/api/x"));
        assert_eq!(lenient("/api\\x").as_deref(), Some("/api/x"));
        assert_eq!(lenient("/a%20b").as_deref(), Some("/a b"));
        assert_eq!(lenient("/a;b=c/;/d;e").as_deref(), Some("/a/d"));
        assert_eq!(lenient("/a%3bb").as_deref(), Some("/a"));
    }

    #[test]
    fn all_spellings_of_a_path_come_to_one_text() {
        for raw in [
            "/a/b", "/a/b/", "/a//b", "/a/b//", "//a/b", "/a%2fb", "/a\\b", "/a/b;x=1", "/a;y/b/",
            "/%61/b", "/a/b%2F", "/a/b%5c",
        ] {
            assert_eq!(canonical(raw), "/a/b", "{raw}");
        }
        for raw in ["/", "//", "/;x", "/%2f"] {
            assert_eq!(canonical(raw), "/", "{raw}");
        }
        assert_eq!(canonical("/A/b"), "/A/b");
    }

    #[test]
    fn what_has_no_one_reading_is_refused() {
        let why = |raw| Target::read(raw).unwrap_err();
        for raw in [
            "/a/../b",
            "/a/%2e%2E/b",
            "/.",
            "/a/..;x/b",
            "/a/..%3bx/b",
            "/a%2f..%2fb",
            "/a/..%5cb",
        ] {
            assert_eq!(why(raw), BadTarget::DotSegment, "{raw}");
        }
        assert_eq!(why("/%zz"), BadTarget::BrokenEscape);
        assert_eq!(why("/%2"), BadTarget::BrokenEscape);
        for raw in ["/%00", "/a%0db", "/%0A", "/\t"] {
            assert_eq!(why(raw), BadTarget::Control, "{raw}");
        }
        assert_eq!(path("/a%09%1f").0, "/a%09%1f");
        assert_eq!(why("*"), BadTarget::Server);
        assert_eq!(why("a"), BadTarget::Relative);
    }

    proptest! {
        #[test]
        fn what_is_plain_at_first_sight_is_also_at_second(raw in "/[a-c0/.\\-_]{0,12}") {
            if is_plain(&raw) {
                prop_assert!(!has_dot_segment(&raw) && !raw.contains("//"));
            }
        }

        #[test]
        fn reading_twice_changes_nothing(raw in "/[a-z0-9/%2eEfF.\\\\;]{0,24}") {
            if let Ok(target) = Target::read(&raw) {
                let again = Target::read(&target.path).unwrap();
                prop_assert_eq!(&again.path, &target.path);
                prop_assert_eq!(again.lenient, target.lenient);
            }
        }
    }
}

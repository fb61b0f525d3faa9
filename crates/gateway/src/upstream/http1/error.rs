//! What can go wrong on a connection to an upstream.

use crate::{base::malformed::Malformed, body::BodyFault};
use http::{HeaderName, HeaderValue};
use std::{fmt, io};

/// The largest head of an answer.
pub(crate) const HEAD_BYTES_MAX: usize = 64 << 10;

/// What is read at once of a body, and so kept for a client that reads slowly.
pub(crate) const READ_BYTES_MAX: usize = 64 << 10;

/// Why there is no answer, or not all of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error("the request's body did not come to its end: {0}")]
    Request(BodyFault),
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    #[error("the connection was closed before the answer's end")]
    Closed,
    #[error("the answer's head is malformed: {0}{1}")]
    Head(httparse::Error, HeadFault),
    #[error("the answer's head is larger than {HEAD_BYTES_MAX} bytes")]
    HeadTooLarge,
    #[error("the answer has two readings: {0}")]
    Framing(&'static str),
    #[error("the answer's body is malformed: {0}")]
    Body(#[from] Malformed),
}

/// Where an answer's head is malformed. Of what stands there, names only: values may be
/// secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HeadFault {
    /// It is not found in any line.
    Somewhere,
    Folded,
    /// A line without a colon.
    NoColon,
    /// In the header of this name.
    In(String),
}

/// As much as is shown of a name.
const NAME_BYTES_MAX: usize = 60;

impl HeadFault {
    /// Where it is, in a head that could not be read.
    pub(super) fn of(head: &[u8]) -> Self {
        let lines = head.split(|byte| *byte == b'\n').skip(1);
        for line in lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)) {
            let Some(first) = line.first() else { break };
            if matches!(first, b' ' | b'\t') {
                return Self::Folded;
            }
            let Some(colon) = line.iter().position(|byte| *byte == b':') else {
                return Self::NoColon;
            };
            let (name, value) = line.split_at(colon);
            let is_fine = HeaderName::from_bytes(name).is_ok()
                && HeaderValue::from_bytes(value[1..].trim_ascii()).is_ok();
            if !is_fine {
                let shown = &name[..name.len().min(NAME_BYTES_MAX)];
                return Self::In(shown.escape_ascii().to_string());
            }
        }
        Self::Somewhere
    }
}

impl fmt::Display for HeadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Somewhere => Ok(()),
            Self::Folded => f.write_str(", since a header is folded over lines"),
            Self::NoColon => f.write_str(", in a line without a colon"),
            Self::In(name) => write!(f, ", in the header `{name}`"),
        }
    }
}

impl ConnectionError {
    /// Whether it is the connection that failed, rather than what came over it.
    pub(crate) fn is_connections(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_head_says_where() {
        for (lines, wanted) in [
            ("a: b\r\nno colon here", HeadFault::NoColon),
            ("a: b\r\n c", HeadFault::Folded),
            ("a: b\r\nx y: secret", HeadFault::In("x y".to_owned())),
            ("a: b\r\nx-y: a\x01b", HeadFault::In("x-y".to_owned())),
            ("a: b", HeadFault::Somewhere),
        ] {
            let head = format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\nnot: looked\x01at");
            let found = HeadFault::of(head.as_bytes());
            assert_eq!(found, wanted, "{lines}");
            assert!(!found.to_string().contains("secret"));
        }
    }
}

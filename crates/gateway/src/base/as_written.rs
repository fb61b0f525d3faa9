//! How a head over HTTP/1 was written, as far as names and codes do not say it.
//!
//! Names of headers mean the same in any case, and reason phrases nothing. Yet there
//! are clients and servers that look at both, and a proxy that changes them is in their
//! way. So they are kept beside the message and written again behind the gateway.

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderName;

/// How a head was written: an extension of requests and responses.
#[derive(Debug, Clone)]
pub(crate) struct AsWritten {
    head: Bytes,
    /// All names, in their order.
    names: Box<[Span]>,
    /// The reason phrase, of an answer that has another one than is usual.
    pub(crate) reason: Option<Bytes>,
    /// The target, of a request where it had to be escaped.
    target: Option<Escaped>,
}

/// A target with bytes that may not stand in one.
#[derive(Debug, Clone)]
pub(crate) struct Escaped {
    pub(crate) raw: Bytes,
    pub(crate) escaped: Bytes,
}

/// A part of a head.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    length: u32,
}

/// Notes names while a head is read.
#[derive(Debug)]
pub(crate) struct Names {
    spans: Vec<Span>,
    /// Whether one of them is not in lower case, which is how all are written otherwise.
    are_special: bool,
}

impl Names {
    /// Room for so many.
    pub(crate) fn with_capacity(names: usize) -> Self {
        Self {
            spans: Vec::with_capacity(names),
            are_special: false,
        }
    }

    /// Notes a name that begins at a place of the head.
    pub(crate) fn add(&mut self, start: usize, name: &[u8]) {
        self.are_special |= name.iter().any(u8::is_ascii_uppercase);
        // A head is far shorter than 4 GiB.
        if let (Ok(start), Ok(length)) = (u32::try_from(start), u32::try_from(name.len())) {
            self.spans.push(Span { start, length });
        }
    }

    /// What is to be kept of the head that they are in, if anything.
    pub(crate) fn of(
        self,
        head: &Bytes,
        reason: Option<Bytes>,
        target: Option<Escaped>,
    ) -> Option<AsWritten> {
        let is_kept = self.are_special || reason.is_some() || target.is_some();
        is_kept.then(|| AsWritten {
            head: head.clone(),
            names: self.spans.into_boxed_slice(),
            reason,
            target,
        })
    }
}

/// Writes one field of a head.
pub(crate) fn write_field(head: &mut BytesMut, name: &[u8], value: &[u8]) {
    head.put_slice(name);
    head.put_slice(b": ");
    head.put_slice(value);
    head.put_slice(b"\r\n");
}

impl AsWritten {
    /// A target as its client wrote it, unless it was changed on the way.
    pub(crate) fn target(&self, target: &str) -> Option<&[u8]> {
        let known = self.target.as_ref()?;
        (known.escaped == target.as_bytes()).then_some(&*known.raw)
    }

    fn bytes(&self, Span { start, length }: Span) -> Option<&[u8]> {
        let start = usize::try_from(start).ok()?;
        self.head.get(start..)?.get(..usize::try_from(length).ok()?)
    }
}

/// Spells names as they were written; those that were not, in lower case.
pub(crate) struct Spelling<'a> {
    written: Option<&'a AsWritten>,
    /// Where the next one is looked for first: heads mostly keep their order.
    next: usize,
}

impl<'a> Spelling<'a> {
    pub(crate) fn new(written: Option<&'a AsWritten>) -> Self {
        Self { written, next: 0 }
    }

    /// The bytes of a name.
    pub(crate) fn of(&mut self, name: &'a HeaderName) -> &'a [u8] {
        let lower = name.as_str().as_bytes();
        let Some(written) = self.written else {
            return lower;
        };
        let is_it = |span: &Span| {
            usize::try_from(span.length) == Ok(lower.len())
                && written
                    .bytes(*span)
                    .is_some_and(|found| found.eq_ignore_ascii_case(lower))
        };
        let (before, after) = written
            .names
            .split_at_checked(self.next)
            .unwrap_or((&written.names, &[]));
        let at = match after.iter().position(is_it) {
            Some(at) => Some(self.next + at),
            None => before.iter().position(is_it),
        };
        if let Some(at) = at
            && let Some(found) = written.bytes(written.names[at])
        {
            self.next = at + 1;
            return found;
        }
        lower
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header;

    fn written(names: &[&str]) -> Option<AsWritten> {
        let head = Bytes::from(names.concat());
        let mut all = Names::with_capacity(names.len());
        let mut at = 0;
        for name in names {
            all.add(at, name.as_bytes());
            at += name.len();
        }
        all.of(&head, None, None)
    }

    #[test]
    fn names_are_spelled_as_they_were_written_in_any_order() {
        let written = written(&["ETag", "X-A", "content-TYPE"]).unwrap();
        let mut spelling = Spelling::new(Some(&written));
        let other = HeaderName::from_static("x-b");
        let names = [
            (&header::CONTENT_TYPE, "content-TYPE"),
            (&header::ETAG, "ETag"),
            (&other, "x-b"),
            (&header::ETAG, "ETag"),
        ];
        for (name, spelled) in names {
            assert_eq!(spelling.of(name), spelled.as_bytes());
        }
        assert_eq!(Spelling::new(None).of(&header::ETAG), b"etag");
    }

    #[test]
    fn lower_case_alone_is_not_kept() {
        assert!(written(&["etag", "x-a"]).is_none());
    }
}

//! The body of a request, as its bytes come in. Pure: bytes in, parts out.

#[cfg(test)]
mod tests;

use super::line;
use crate::base::malformed::Malformed;
use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Frame, SizeHint};

/// The longest line of a chunk's size with its extension. Extensions are not in use.
pub(crate) const CHUNK_LINE_BYTES_MAX: usize = 256;

/// The most bytes and fields of trailers: checksums, gRPC's status.
pub(crate) const TRAILER_BYTES_MAX: usize = 8 << 10;
pub(crate) const TRAILERS_MAX: usize = 32;

/// What is still to come of a body.
#[derive(Debug)]
pub(crate) enum Coming {
    /// Nothing.
    Ended,
    /// So many bytes, at least one.
    Length(u64),
    Chunks(Chunks),
    /// It is none; nothing after it has a meaning.
    Broken(Malformed),
}

/// What comes next of a body in chunks.
#[derive(Debug)]
pub(crate) enum Chunks {
    Size,
    /// So many bytes of this one, at least one.
    Data(u64),
    DataEnd,
    Trailers(Box<Trailers>),
}

/// The trailers that have come.
#[derive(Debug, Default)]
pub(crate) struct Trailers {
    bytes: usize,
    fields: HeaderMap,
}

impl Coming {
    /// A body in chunks.
    pub(crate) fn chunks() -> Self {
        Self::Chunks(Chunks::Size)
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(self, Self::Ended)
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Ended => SizeHint::with_exact(0),
            Self::Length(left) => SizeHint::with_exact(*left),
            Self::Chunks(_) | Self::Broken(_) => SizeHint::default(),
        }
    }

    /// How much may be read of it at once; `None` where that is not known.
    pub(crate) fn awaits(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            _ => None,
        }
    }

    /// Takes the next part of what was read; `None` where more must come first,
    /// or it has ended.
    pub(crate) fn take(&mut self, read: &mut BytesMut) -> Result<Option<Frame<Bytes>>, Malformed> {
        match self.next(read) {
            Ok(Taken::Part(part)) => {
                if let Self::Length(0) = self {
                    *self = Self::Ended;
                }
                Ok(Some(part))
            }
            Ok(Taken::More) => Ok(None),
            Ok(Taken::End(trailers)) => {
                *self = Self::Ended;
                Ok(trailers.map(Frame::trailers))
            }
            Err(why) => {
                *self = Self::Broken(why);
                Err(why)
            }
        }
    }

    fn next(&mut self, read: &mut BytesMut) -> Result<Taken, Malformed> {
        match self {
            Self::Ended => Ok(Taken::More),
            Self::Length(_) if read.is_empty() => Ok(Taken::More),
            Self::Length(left) => Ok(Taken::Part(part(read, left))),
            Self::Chunks(chunks) => chunks.take(read),
            Self::Broken(why) => Err(*why),
        }
    }
}

/// Takes what was read, as far as it belongs to what is left.
pub(crate) fn part(read: &mut BytesMut, left: &mut u64) -> Frame<Bytes> {
    let length = usize::try_from(*left).map_or(read.len(), |left| left.min(read.len()));
    *left -= length as u64;
    let part = if length == read.len() {
        std::mem::take(read)
    } else {
        read.split_to(length)
    };
    Frame::data(part.freeze())
}

enum Taken {
    Part(Frame<Bytes>),
    More,
    End(Option<HeaderMap>),
}

impl Chunks {
    fn take(&mut self, read: &mut BytesMut) -> Result<Taken, Malformed> {
        loop {
            match self {
                Self::Size => {
                    let most = (CHUNK_LINE_BYTES_MAX, Malformed::ChunkExtension);
                    let Some(line) = whole_line(read, most)? else {
                        return Ok(Taken::More);
                    };
                    let (size, length) = (line::chunk(line::content(line)?)?, line.len());
                    read.advance(length);
                    *self = match size {
                        0 => Self::Trailers(Box::default()),
                        size => Self::Data(size),
                    };
                }
                Self::Data(_) if read.is_empty() => return Ok(Taken::More),
                Self::Data(left) => {
                    let part = part(read, left);
                    if *left == 0 {
                        *self = Self::DataEnd;
                    }
                    return Ok(Taken::Part(part));
                }
                Self::DataEnd => match read[..] {
                    [] | [b'\r'] => return Ok(Taken::More),
                    [b'\r', b'\n', ..] => {
                        read.advance(b"\r\n".len());
                        *self = Self::Size;
                    }
                    _ => return Err(Malformed::ChunkEnd),
                },
                Self::Trailers(trailers) => return trailers.take(read),
            }
        }
    }
}

impl Trailers {
    fn take(&mut self, read: &mut BytesMut) -> Result<Taken, Malformed> {
        loop {
            let most = (TRAILER_BYTES_MAX - self.bytes, Malformed::Trailers);
            let Some(line) = whole_line(read, most)? else {
                return Ok(Taken::More);
            };
            let (content, length) = (line::content(line)?, line.len());
            if content.is_empty() {
                read.advance(length);
                let fields = std::mem::take(&mut self.fields);
                return Ok(Taken::End(Some(fields).filter(|fields| !fields.is_empty())));
            }
            if self.fields.len() == TRAILERS_MAX {
                return Err(Malformed::Trailers);
            }
            let (name, value) = line::trailer(content)?;
            let name = HeaderName::from_bytes(name).map_err(|_| Malformed::Name)?;
            let value = HeaderValue::from_bytes(value).map_err(|_| Malformed::Control)?;
            self.fields.append(name, value);
            self.bytes += length;
            read.advance(length);
        }
    }
}

/// The next line with its end, which is so long at most.
fn whole_line(read: &[u8], most: (usize, Malformed)) -> Result<Option<&[u8]>, Malformed> {
    let (most, too_long) = most;
    let start = &read[..read.len().min(most)];
    match memchr::memchr(b'\n', start) {
        Some(at) => Ok(Some(&read[..=at])),
        None if read.len() > most => Err(too_long),
        None => Ok(None),
    }
}

//! The body of an answer, as its bytes come in. Pure: bytes in, parts out.

use super::error::{ConnectionError, READ_BYTES_MAX};
use crate::{
    base::malformed::Malformed,
    transport::http1::{
        framing::{CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX, TRAILERS_MAX, part},
        line,
    },
};
use bytes::Buf;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Frame, SizeHint};
use httparse::Status;

/// What is read at once of a body of unknown length.
const READ_BYTES: usize = 16 << 10;

/// What is still to come of a body.
#[derive(Debug)]
pub(crate) enum IncomingBody {
    /// Nothing.
    Ended,
    /// So many bytes, at least one.
    Length(u64),
    /// All until the connection is closed.
    Close,
    Chunks(Chunks),
}

/// What comes next of a body in chunks.
#[derive(Debug)]
pub(crate) enum Chunks {
    Size,
    /// So many bytes of this one, at least one.
    Data(u64),
    DataEnd,
    Trailers,
}

impl IncomingBody {
    /// A body in chunks.
    pub(super) fn chunks() -> Self {
        Self::Chunks(Chunks::Size)
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(self, Self::Ended)
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Ended => SizeHint::with_exact(0),
            Self::Length(left) => SizeHint::with_exact(*left),
            Self::Close | Self::Chunks(_) => SizeHint::default(),
        }
    }

    /// How much to read at once.
    pub(super) fn awaits(&self) -> usize {
        match self {
            Self::Length(left) => usize::try_from(*left)
                .unwrap_or(READ_BYTES_MAX)
                .min(READ_BYTES_MAX),
            _ => READ_BYTES,
        }
    }

    /// Takes the next part of what was read; `None` where more must come first,
    /// or it has ended.
    pub(super) fn take(
        &mut self,
        read: &mut BytesMut,
    ) -> Result<Option<Frame<Bytes>>, ConnectionError> {
        if read.is_empty() {
            return Ok(None);
        }
        Ok(match self {
            Self::Ended => None,
            Self::Close => Some(Frame::data(std::mem::take(read).freeze())),
            Self::Length(left) => {
                let part = part(read, left);
                if *left == 0 {
                    *self = Self::Ended;
                }
                Some(part)
            }
            Self::Chunks(chunks) => match chunks.take(read)? {
                Taken::Part(part) => Some(part),
                Taken::More => None,
                Taken::End(trailers) => {
                    *self = Self::Ended;
                    trailers.map(Frame::trailers)
                }
            },
        })
    }

    /// The connection was closed.
    pub(super) fn close(&mut self) -> Result<(), ConnectionError> {
        match self {
            Self::Ended | Self::Close => {
                *self = Self::Ended;
                Ok(())
            }
            Self::Length(_) | Self::Chunks(_) => Err(ConnectionError::Closed),
        }
    }
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
                    let Some(line) = whole_line(read)? else {
                        return Ok(Taken::More);
                    };
                    let (size, length) = (size(line)?, line.len());
                    read.advance(length);
                    *self = match size {
                        0 => Self::Trailers,
                        size => Self::Data(size),
                    };
                }
                Self::Data(left) => {
                    if read.is_empty() {
                        return Ok(Taken::More);
                    }
                    let part = part(read, left);
                    if *left == 0 {
                        *self = Self::DataEnd;
                    }
                    return Ok(Taken::Part(part));
                }
                Self::DataEnd => {
                    let end = match read[..] {
                        [b'\n', ..] => 1,
                        [b'\r', b'\n', ..] => 2,
                        [] | [b'\r'] => return Ok(Taken::More),
                        _ => return Err(Malformed::ChunkEnd),
                    };
                    read.advance(end);
                    *self = Self::Size;
                }
                Self::Trailers => return trailers(read),
            }
        }
    }
}

/// The size in a line that ends with a line feed, with a carriage return before it or
/// without. What follows a space or a semicolon means nothing here: servers pad sizes,
/// nginx passes that, and there is no other place where such a line could end.
fn size(line: &[u8]) -> Result<u64, Malformed> {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let is_after = |byte: &u8| matches!(byte, b' ' | b'\t' | b';');
    let digits = text.iter().position(is_after).unwrap_or(text.len());
    let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    if text[digits..].iter().any(is_control) {
        return Err(Malformed::Control);
    }
    line::chunk(&text[..digits])
}

/// The line of a chunk's size, with its end.
fn whole_line(read: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    let start = &read[..read.len().min(CHUNK_LINE_BYTES_MAX)];
    match memchr::memchr(b'\n', start) {
        Some(at) => Ok(Some(&read[..=at])),
        None if start.len() == CHUNK_LINE_BYTES_MAX => Err(Malformed::ChunkExtension),
        None => Ok(None),
    }
}

/// Takes the trailers, once all of them are there.
fn trailers(read: &mut BytesMut) -> Result<Taken, Malformed> {
    let mut fields = [httparse::EMPTY_HEADER; TRAILERS_MAX];
    let block = &read[..read.len().min(TRAILER_BYTES_MAX)];
    match httparse::parse_headers(block, &mut fields) {
        Ok(Status::Partial) if block.len() == TRAILER_BYTES_MAX => Err(Malformed::Trailers),
        Ok(Status::Partial) => Ok(Taken::More),
        Ok(Status::Complete((length, fields))) => {
            let mut trailers = HeaderMap::with_capacity(fields.len());
            for field in fields {
                let name = HeaderName::from_bytes(field.name.as_bytes());
                let value = HeaderValue::from_bytes(field.value);
                let (Ok(name), Ok(value)) = (name, value) else {
                    return Err(Malformed::Name);
                };
                trailers.append(name, value);
            }
            read.advance(length);
            Ok(Taken::End(
                Some(trailers).filter(|trailers| !trailers.is_empty()),
            ))
        }
        Err(httparse::Error::TooManyHeaders) => Err(Malformed::Trailers),
        Err(_) => Err(Malformed::Name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What comes of a body whose bytes come in these parts: data, trailers, and
    /// what is left over.
    fn whole(
        mut coming: IncomingBody,
        parts: &[&[u8]],
    ) -> Result<(Vec<u8>, HeaderMap, Vec<u8>), String> {
        let (mut data, mut trailers) = (Vec::new(), HeaderMap::new());
        let mut read = BytesMut::new();
        for part in parts {
            read.extend_from_slice(part);
            while let Some(frame) = coming.take(&mut read).map_err(|error| error.to_string())? {
                match frame.into_data() {
                    Ok(part) => data.extend_from_slice(&part),
                    Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
                }
            }
        }
        if !coming.has_ended() {
            coming.close().map_err(|error| error.to_string())?;
        }
        Ok((data, trailers, read.to_vec()))
    }

    fn in_chunks(parts: &[Vec<u8>], trailer: &str) -> Vec<u8> {
        let mut all = Vec::new();
        for part in parts.iter().filter(|part| !part.is_empty()) {
            all.extend_from_slice(format!("{:X};x=y\r\n", part.len()).as_bytes());
            all.extend_from_slice(part);
            all.extend_from_slice(b"\r\n");
        }
        all.extend_from_slice(format!("0\r\n{trailer}\r\n").as_bytes());
        all
    }

    proptest! {
        #[test]
        fn a_body_is_the_same_however_it_is_split(
            body in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..5),
            trailer in "(x-[a-z]{1,5}: [a-z]{0,5}\r\n)?",
            step in 1_usize..30,
        ) {
            let flat = body.concat();
            let chunks = in_chunks(&body, &trailer);
            let chunks = [&chunks, &b"HTTP"[..]].concat();
            let parts: Vec<&[u8]> = chunks.chunks(step).collect();
            let (data, trailers, rest) = whole(IncomingBody::chunks(), &parts).unwrap();
            prop_assert_eq!(&data, &flat);
            prop_assert_eq!(trailers.is_empty(), trailer.is_empty());
            prop_assert_eq!(&rest[..], b"HTTP");
            if !flat.is_empty() {
                let more = [&flat[..], b"HTTP"].concat();
                let parts: Vec<&[u8]> = more.chunks(step).collect();
                let (data, _, rest) = whole(IncomingBody::Length(flat.len() as u64), &parts).unwrap();
                prop_assert_eq!(&data, &flat);
                prop_assert_eq!(&rest[..], b"HTTP");
            }
            // Nothing of it looks whole that was cut off.
            let cut = chunks.len() - b"HTTP".len() - 1;
            prop_assert!(whole(IncomingBody::chunks(), &[&chunks[..cut]]).is_err());
        }
    }

    #[test]
    fn bounds_of_lines_and_trailers() {
        let long = format!("4;{}", "x".repeat(CHUNK_LINE_BYTES_MAX));
        assert!(whole(IncomingBody::chunks(), &[long.as_bytes()]).is_err());
        let many = format!("0\r\n{}\r\n", "x: y\r\n".repeat(TRAILERS_MAX + 1));
        assert!(whole(IncomingBody::chunks(), &[many.as_bytes()]).is_err());
        let large = format!("0\r\nx: {}", "y".repeat(TRAILER_BYTES_MAX));
        assert!(whole(IncomingBody::chunks(), &[large.as_bytes()]).is_err());
    }
}

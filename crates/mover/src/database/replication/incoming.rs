//! Messages from a server, cut out of its bytes.

use crate::error::ReplicationError;
use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// PostgreSQL sends nothing larger: a value is at most a gibibyte.
const MESSAGE_BYTES_MAX: usize = (1 << 30) + (1 << 20);

/// Read from the network at a time.
const CHUNK_BYTES: usize = 128 << 10;

/// A row of a command's answer, as text.
pub type Row = Vec<Option<Bytes>>;

/// A message, as far as we need to tell them apart.
#[derive(Debug)]
pub(super) enum Message {
    /// What is asked of us while logging in: its kind, and what belongs to it.
    Authentication(u32, Bytes),
    DataRow(Row),
    /// A part of a stream.
    CopyData(Bytes),
    /// The stream begins.
    CopyBoth,
    /// The server sends no more of the stream.
    CopyDone,
    Error(ReplicationError),
    /// The next command may be sent.
    Ready,
    /// Notices, settings, descriptions.
    Other,
}

/// Bytes that have come and are not read yet.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    bytes: BytesMut,
}

impl Incoming {
    /// The next message. Cancel safe: what has come stays.
    pub(super) async fn next(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
    ) -> Result<Message, ReplicationError> {
        loop {
            if let Some(message) = self.ready()? {
                return Ok(message);
            }
            if self.bytes.capacity() == self.bytes.len() {
                self.bytes.reserve(CHUNK_BYTES);
            }
            if from.read_buf(&mut self.bytes).await? == 0 {
                return Err(ReplicationError::Closed);
            }
        }
    }

    /// A message that is there already.
    pub(super) fn ready(&mut self) -> Result<Option<Message>, ReplicationError> {
        let Some(header) = self.bytes.get(..5) else {
            return Ok(None);
        };
        let tag = header[0];
        // It counts itself, not the tag.
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if !(4..=MESSAGE_BYTES_MAX).contains(&length) {
            return Err(ReplicationError::Protocol(
                "a message of no possible length",
            ));
        }
        let whole = length + 1;
        if self.bytes.len() < whole {
            // Room for what may come next, not for all that is announced: that
            // may be anything, before the login, too.
            self.bytes
                .reserve((whole - self.bytes.len()).min(CHUNK_BYTES));
            return Ok(None);
        }
        let mut body = self.bytes.split_to(whole).freeze();
        body.advance(5);
        message(tag, body).map(Some)
    }
}

fn message(tag: u8, mut body: Bytes) -> Result<Message, ReplicationError> {
    Ok(match tag {
        b'd' => Message::CopyData(body),
        b'D' => Message::DataRow(row(body)?),
        b'E' => Message::Error(error(&body)),
        b'W' => Message::CopyBoth,
        b'c' => Message::CopyDone,
        b'Z' => Message::Ready,
        b'R' if body.remaining() >= 4 => Message::Authentication(body.get_u32(), body),
        b'R' => return Err(ReplicationError::Protocol("a login without its kind")),
        _ => Message::Other,
    })
}

fn row(mut body: Bytes) -> Result<Row, ReplicationError> {
    let short = || ReplicationError::Protocol("a row that ends early");
    let count = body.try_get_u16().map_err(|_| short())?;
    let mut row = Vec::with_capacity(count.into());
    for _ in 0..count {
        let length = body.try_get_i32().map_err(|_| short())?;
        row.push(match usize::try_from(length) {
            // Negative: no value.
            Err(_) => None,
            Ok(length) if length <= body.len() => Some(body.split_to(length)),
            Ok(_) => return Err(short()),
        });
    }
    Ok(row)
}

/// Fields of an error, each a letter and a text that ends in a zero. The
/// detail, which may hold values of rows, is left where it is.
fn error(body: &[u8]) -> ReplicationError {
    let field = |wanted: u8| {
        body.split(|byte| *byte == 0)
            .find_map(|field| field.strip_prefix(&[wanted]))
            .map(|text| String::from_utf8_lossy(text).into_owned())
            .unwrap_or_default()
    };
    ReplicationError::Server {
        code: field(b'C'),
        message: field(b'M'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[tag][..], &length.to_be_bytes(), body].concat()
    }

    #[test]
    fn a_message_is_one_however_it_is_cut() {
        let bytes = [framed(b'd', b"w123"), framed(b'Z', b"I")].concat();
        for cut in 0..bytes.len() {
            let mut incoming = Incoming::default();
            let mut found = Vec::new();
            for part in [&bytes[..cut], &bytes[cut..]] {
                incoming.bytes.extend_from_slice(part);
                while let Some(message) = incoming.ready().unwrap() {
                    found.push(message);
                }
            }
            assert!(
                matches!(&found[..], [Message::CopyData(data), Message::Ready] if data == "w123"),
                "{cut}: {found:?}"
            );
        }
    }

    #[test]
    fn what_is_only_announced_takes_no_memory() {
        let mut incoming = Incoming::default();
        let length = u32::try_from(MESSAGE_BYTES_MAX).unwrap();
        incoming.bytes.extend_from_slice(b"d");
        incoming.bytes.extend_from_slice(&length.to_be_bytes());
        assert!(incoming.ready().unwrap().is_none());
        assert!(incoming.bytes.capacity() < 4 * CHUNK_BYTES);
    }

    #[test]
    fn rubbish_is_refused() {
        let mut incoming = Incoming::default();
        incoming.bytes.extend_from_slice(b"d\0\0\0\x03");
        assert!(incoming.ready().is_err());
        let mut incoming = Incoming::default();
        incoming.bytes.extend_from_slice(b"d\xff\xff\xff\xff");
        assert!(incoming.ready().is_err());
        for body in [&b""[..], b"\0", b"\0\x01", b"\0\x01\0\0\0\x05abc"] {
            assert!(message(b'D', Bytes::copy_from_slice(body)).is_err());
        }
        assert!(message(b'R', Bytes::from_static(b"abc")).is_err());
    }

    #[test]
    fn rows_and_errors_are_read() {
        let row = row(Bytes::from_static(b"\0\x02\0\0\0\x02ab\xff\xff\xff\xff")).unwrap();
        assert_eq!(row, [Some(Bytes::from_static(b"ab")), None]);
        let error = error(b"SERROR\0C42704\0Mno slot\0Dvalue of a row\0\0");
        assert_eq!(error.to_string(), "no slot (SQLSTATE 42704)");
    }
}

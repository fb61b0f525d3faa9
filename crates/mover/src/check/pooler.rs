//! Whether a connection reaches the server itself or a pooler in front of it.
//!
//! A server greets a client with the number of the process that serves it. A
//! pooler greets with a number of its own, or with that of one of several
//! connections. So the number of the greeting is compared with what the
//! statements say, a few transactions in a row.
//!
//! The driver keeps the greeting to itself; it is read from the bytes that
//! pass. No setting is changed: through a pooler that would stay behind.

use crate::database::{
    connect_error::ConnectError,
    session,
    transport::{self, Transport},
};
use plan::DatabaseUrl;
use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::{
    SimpleQueryMessage,
    tls::{ChannelBinding, TlsStream},
};

/// Transactions that must all be served by the greeting's process.
const TRANSACTIONS: usize = 4;

/// A greeting is a few hundred bytes.
const GREETING_BYTES_MAX: usize = 16 * 1024;

/// What a probe has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Directness {
    /// The server itself.
    Direct,
    /// A pooler in between, and the evidence.
    Pooled(String),
    /// No connection; opening a session reports why.
    Unknown,
}

/// Connects and asks.
pub(super) async fn probe(database: &DatabaseUrl) -> Directness {
    let ask = |transport| ask(database, transport);
    match transport::open(database, ask).await {
        Ok((greeting, answers)) => judge(greeting, &answers),
        Err(_) => Directness::Unknown,
    }
}

fn judge(greeting: Option<i32>, answers: &[i32]) -> Directness {
    let Some(first) = answers.first() else {
        return Directness::Unknown;
    };
    if answers.iter().any(|answer| answer != first) {
        return Directness::Pooled(
            "transactions of one session were served by different processes".to_owned(),
        );
    }
    match greeting {
        Some(greeting) if greeting != *first => {
            Directness::Pooled("the process that greeted is not the one that serves".to_owned())
        }
        _ => Directness::Direct,
    }
}

async fn ask(
    database: &DatabaseUrl,
    transport: Transport,
) -> Result<(Option<i32>, Vec<i32>), ConnectError> {
    let encryption = transport.encryption();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let recording = RecordingStream {
        transport,
        seen: Arc::clone(&seen),
    };
    let (client, connection) = session::log_in(database, recording, encryption).await?;
    let greeting = greeting(&seen.lock().unwrap_or_else(PoisonError::into_inner));
    let driver = tokio::spawn(connection);
    let mut answers = Vec::new();
    for _ in 0..TRANSACTIONS {
        for message in answer(&client).await? {
            if let SimpleQueryMessage::Row(row) = message {
                answers.extend(row.get(0).and_then(|text| text.parse::<i32>().ok()));
            }
        }
    }
    driver.abort();
    Ok((greeting, answers))
}

async fn answer(client: &tokio_postgres::Client) -> Result<Vec<SimpleQueryMessage>, ConnectError> {
    client
        .simple_query("select pg_backend_pid()")
        .await
        .map_err(|error| ConnectError::Protocol(error.to_string()))
}

/// The process in the server's BackendKeyData message.
fn greeting(bytes: &[u8]) -> Option<i32> {
    let mut rest = bytes;
    loop {
        let (kind, length) = (*rest.first()?, rest.get(1..5)?);
        let length = usize::try_from(u32::from_be_bytes(length.try_into().ok()?)).ok()?;
        let body = rest.get(5..1 + length)?;
        if kind == b'K' {
            return Some(i32::from_be_bytes(body.get(..4)?.try_into().ok()?));
        }
        rest = &rest[1 + length..];
    }
}

/// A stream whose first incoming bytes are kept.
struct RecordingStream {
    transport: Transport,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for RecordingStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.transport).poll_read(context, buffer);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let room = GREETING_BYTES_MAX.saturating_sub(seen.len());
        let new = &buffer.filled()[before..];
        seen.extend_from_slice(&new[..new.len().min(room)]);
        polled
    }
}

impl AsyncWrite for RecordingStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(context)
    }
}

impl TlsStream for RecordingStream {
    fn channel_binding(&self) -> ChannelBinding {
        self.transport.channel_binding()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_greeting_process_serves_a_direct_session() {
        assert_eq!(judge(Some(7), &[7, 7, 7]), Directness::Direct);
        assert!(matches!(judge(Some(9), &[7, 7, 7]), Directness::Pooled(_)));
        assert!(matches!(judge(Some(7), &[7, 8, 7]), Directness::Pooled(_)));
        assert_eq!(judge(Some(7), &[]), Directness::Unknown);
    }

    #[test]
    fn the_greeting_is_found_among_other_messages_and_rubbish_is_harmless() {
        let mut bytes = vec![b'R', 0, 0, 0, 8, 0, 0, 0, 0];
        bytes.extend([b'K', 0, 0, 0, 12, 0, 0, 1, 2, 9, 9, 9, 9]);
        bytes.extend([b'Z', 0, 0, 0, 5, b'I']);
        assert_eq!(greeting(&bytes), Some(258));
        for end in 0..13 {
            assert_eq!(greeting(&bytes[..end]), None);
        }
        assert_eq!(greeting(&[b'R', 0, 0, 0, 0]), None);
        assert_eq!(greeting(&[b'R', 255, 255, 255, 255, 1]), None);
    }
}

//! A change stream that has begun.
//!
//! A task of its own reads, tells the server the position that is stored, and
//! answers its keepalives, also while nobody takes what was read: then it stops
//! reading, and the server waits.

use super::{ReplicationConnection, incoming::Message};
use crate::{
    database::{sql, transport::Transport},
    error::ReplicationError,
};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use postgres_protocol::message::frontend::{self, CopyData};
use protocol::Lsn;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::{
    io::AsyncWriteExt,
    sync::{mpsc, watch},
    time::{Instant, sleep_until, timeout},
};

/// How often the server is told at most what it may discard. It answers a
/// change of it with the position that it has reached, also when nothing of
/// ours changes.
const STATUS_INTERVAL: Duration = Duration::from_millis(100);

/// How often it is told so although nothing has changed.
const WAKEUP_INTERVAL: Duration = Duration::from_secs(10);

/// Messages that wait to be taken; any of them may be large, the queue behind
/// this one is bounded by bytes.
const EVENTS_MAX: usize = 128;

/// How long taking leave of the server may take.
const LEAVE_LIMIT: Duration = Duration::from_secs(1);

/// From the Unix epoch to PostgreSQL's, the first of January 2000.
const POSTGRES_EPOCH: Duration = Duration::from_hours(10_957 * 24);

/// Parts of a stream's messages, in bytes: three numbers before a change, two
/// and a flag in a keepalive.
const CHANGE_HEADER: usize = 24;
const KEEPALIVE: usize = 17;

/// Something from the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEvent {
    /// Whatever was committed before this position has been sent.
    Reached(Lsn),
    /// A message of the output plug-in's.
    Data(Bytes),
}

/// A change stream. Dropping it ends the connection.
#[derive(Debug)]
pub struct ChangeStream {
    events: mpsc::Receiver<Result<StreamEvent, ReplicationError>>,
    stored: watch::Sender<Lsn>,
}

impl ReplicationConnection {
    /// Begins to stream a publication's changes from a position on, and tells that
    /// everything up to another is stored. Once this returns, the slot is this
    /// connection's.
    pub async fn stream(
        mut self,
        slot: &str,
        publication: &str,
        from: Lsn,
        stored: Lsn,
    ) -> Result<ChangeStream, ReplicationError> {
        let start = format!(
            "START_REPLICATION SLOT {} LOGICAL {from} (proto_version '1', \
             publication_names {}, messages 'true')",
            sql::identifier(slot),
            sql::literal(&sql::identifier(publication)),
        );
        self.send_query(&start).await?;
        loop {
            match self.incoming.next(&mut self.transport).await? {
                Message::CopyBoth => break,
                Message::Error(error) => return Err(error),
                _ => {}
            }
        }
        let (send, events) = mpsc::channel(EVENTS_MAX);
        let (stored, heard) = watch::channel(stored);
        let mut reader = Reader {
            connection: self,
            events: send,
            stored: heard,
            told: None,
            told_at: Instant::now(),
        };
        tokio::spawn(async move {
            if let Err(error) = reader.run().await {
                drop(reader.events.send(Err(error)).await);
            }
        });
        Ok(ChangeStream { events, stored })
    }
}

impl ChangeStream {
    /// What comes next. Cancel safe.
    pub async fn next(&mut self) -> Result<StreamEvent, ReplicationError> {
        self.events
            .recv()
            .await
            .unwrap_or(Err(ReplicationError::Closed))
    }

    /// Tells the server that everything up to here is stored, so that it may
    /// forget it. Never goes back.
    pub fn store(&self, position: Lsn) {
        self.stored.send_if_modified(|stored| {
            let is_later = position > *stored;
            *stored = position.max(*stored);
            is_later
        });
    }
}

struct Reader {
    connection: ReplicationConnection,
    events: mpsc::Sender<Result<StreamEvent, ReplicationError>>,
    stored: watch::Receiver<Lsn>,
    told: Option<Lsn>,
    told_at: Instant,
}

impl Reader {
    /// Until the server ends the stream, or nobody wants it any more.
    async fn run(&mut self) -> Result<(), ReplicationError> {
        loop {
            let message = match self.connection.incoming.ready()? {
                Some(message) => message,
                None => match self.wait().await? {
                    Some(message) => message,
                    None => return Ok(()),
                },
            };
            let event = match message {
                Message::CopyData(data) => self.event(data).await?,
                Message::Error(error) => return Err(error),
                Message::CopyDone => return Err(ReplicationError::Closed),
                _ => continue,
            };
            if !self.hand_on(event).await? {
                return Ok(());
            }
        }
    }

    /// The next message from the network; none if nobody wants it any more.
    async fn wait(&mut self) -> Result<Option<Message>, ReplicationError> {
        loop {
            let due = self.due();
            let ReplicationConnection {
                transport,
                incoming,
            } = &mut self.connection;
            tokio::select! {
                biased;
                () = self.events.closed() => {
                    leave(transport).await;
                    return Ok(None);
                }
                () = sleep_until(due) => self.tell(false).await?,
                // Its sender is gone only together with the receiver above.
                _ = self.stored.changed() => {}
                message = incoming.next(transport) => return message.map(Some),
            }
        }
    }

    /// Hands an event on; false if nobody wants it any more.
    async fn hand_on(&mut self, event: StreamEvent) -> Result<bool, ReplicationError> {
        loop {
            let due = self.due();
            tokio::select! {
                biased;
                permit = self.events.reserve() => {
                    if let Ok(permit) = permit {
                        permit.send(Ok(event));
                        return Ok(true);
                    }
                    leave(&mut self.connection.transport).await;
                    return Ok(false);
                }
                () = sleep_until(due) => {}
            }
            self.tell(false).await?;
        }
    }

    /// When the server is to be told the stored position.
    fn due(&mut self) -> Instant {
        let stored = *self.stored.borrow_and_update();
        let interval = if self.told.is_none_or(|told| told < stored) {
            STATUS_INTERVAL
        } else {
            WAKEUP_INTERVAL
        };
        match self.told {
            None => self.told_at,
            Some(_) => self.told_at + interval,
        }
    }

    async fn tell(&mut self, and_ask: bool) -> Result<(), ReplicationError> {
        let stored = *self.stored.borrow_and_update();
        self.connection.send(&status(stored, and_ask)?).await?;
        self.told = Some(stored);
        self.told_at = Instant::now();
        Ok(())
    }

    async fn event(&mut self, mut data: Bytes) -> Result<StreamEvent, ReplicationError> {
        let kind = data.try_get_u8().unwrap_or_default();
        match kind {
            b'w' if data.len() >= CHANGE_HEADER => {
                data.advance(CHANGE_HEADER);
                Ok(StreamEvent::Data(data))
            }
            b'k' if data.len() >= KEEPALIVE => {
                let reached = Lsn(data.get_u64());
                let _sent_at = data.get_u64();
                if data.get_u8() != 0 {
                    self.tell(true).await?;
                }
                Ok(StreamEvent::Reached(reached))
            }
            _ => Err(ReplicationError::Protocol(
                "an unknown message in the stream",
            )),
        }
    }
}

/// Whether the server hears it makes no difference but for what it logs.
async fn leave(transport: &mut Transport) {
    let mut buffer = BytesMut::new();
    frontend::copy_done(&mut buffer);
    frontend::terminate(&mut buffer);
    let send = async {
        transport.write_all(&buffer).await?;
        transport.shutdown().await
    };
    drop(timeout(LEAVE_LIMIT, send).await);
}

/// A status message: what is written, flushed and applied here is one.
fn status(stored: Lsn, and_ask: bool) -> Result<BytesMut, ReplicationError> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH + POSTGRES_EPOCH)
        .unwrap_or_default();
    let mut body = BytesMut::with_capacity(34);
    body.put_u8(b'r');
    for _ in 0..3 {
        body.put_u64(stored.0);
    }
    body.put_u64(u64::try_from(now.as_micros()).unwrap_or_default());
    body.put_u8(and_ask.into());
    let mut message = BytesMut::new();
    CopyData::new(body)?.write(&mut message);
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_as_postgresql_reads_it() {
        let message = status(Lsn(0x0102), true).unwrap();
        assert_eq!(message.len(), 5 + 34);
        assert_eq!(&message[..6], b"d\0\0\0\x26r");
        assert_eq!(&message[6..14], &[0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(message[14..22], message[22..30]);
        assert_eq!(message[38], 1);
    }
}

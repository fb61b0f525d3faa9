//! The change stream as a bounded queue of decoded events.
//!
//! A task of its own reads and decodes while the target works. What waits in
//! the queue is bounded by its bytes, not its number, since a row may have
//! kilobytes or megabytes; beyond that nothing is read from the connection and
//! the source's walsender waits, which the connection keeps alive.

use crate::{
    database::replication::{ChangeStream, StreamEvent},
    error::{MoverError, ReplicationError, damaged},
    pgoutput::{self, LogicalMessage},
};
use futures_util::FutureExt as _;
use protocol::{Lsn, Side};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    task::{JoinHandle, coop::unconstrained},
    time::timeout,
};

/// The most bytes of changes that wait, save that one larger change is let
/// through alone.
const QUEUE_BYTES: u32 = 16 << 20;

/// A change takes about this much besides its values.
const EVENT_BYTES: usize = 128;

/// Events are handed on in portions, so that handing them on costs little.
const PORTION_EVENTS: usize = 512;
const PORTION_BYTES: usize = 256 << 10;

/// The server sends keepalives every few seconds (`wal_sender_timeout` of the
/// session); without any for this long the connection is taken for dead.
const SILENCE: Duration = Duration::from_secs(45);

/// One thing that happened at the source.
#[derive(Debug)]
pub(super) enum FeedEvent {
    /// A message of the stream.
    Message(LogicalMessage),
    /// Whatever was committed before this position has been sent.
    Reached(Lsn),
}

/// Some events. While it lives, they count as waiting.
#[derive(Debug)]
pub(super) struct Portion {
    pub(super) events: Vec<FeedEvent>,
    _permit: Option<OwnedSemaphorePermit>,
}

/// The receiving end. Dropping it closes the connection.
pub(super) struct Feed {
    portions: mpsc::Receiver<Result<Portion, MoverError>>,
    acknowledged: watch::Sender<Lsn>,
    side: Side,
    task: JoinHandle<()>,
}

impl Feed {
    /// Takes over a stream.
    pub(super) fn new(stream: ChangeStream, side: Side) -> Self {
        // Few: the bytes are what is bounded.
        let (send, portions) = mpsc::channel(16);
        let (acknowledged, heard) = watch::channel(Lsn::default());
        let task = tokio::spawn(pump(
            Pump {
                stream,
                side,
                heard,
            },
            send,
        ));
        Self {
            portions,
            acknowledged,
            side,
            task,
        }
    }

    /// The next events. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Portion, MoverError> {
        self.portions
            .recv()
            .await
            .unwrap_or_else(|| Err(self.ended()))
    }

    /// Events that are there already.
    pub(super) fn ready(&mut self) -> Option<Result<Portion, MoverError>> {
        self.portions.try_recv().ok()
    }

    /// Tells the source that everything up to here is stored, so that it may
    /// forget it.
    pub(super) fn acknowledge(&self, stored: Lsn) {
        self.acknowledged.send_replace(stored);
    }

    fn ended(&self) -> MoverError {
        MoverError::Stream {
            side: self.side,
            source: ReplicationError::Closed,
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Pump {
    stream: ChangeStream,
    side: Side,
    heard: watch::Receiver<Lsn>,
}

async fn pump(mut pump: Pump, out: mpsc::Sender<Result<Portion, MoverError>>) {
    let room = Arc::new(Semaphore::new(QUEUE_BYTES as usize));
    loop {
        let (events, bytes, error) = pump.gather().await;
        let permit = pump.acknowledging(reserve(&room, bytes)).await;
        let portion = Portion {
            events,
            _permit: permit,
        };
        if !portion.events.is_empty() && pump.acknowledging(out.send(Ok(portion))).await.is_err() {
            return;
        }
        if let Some(error) = error {
            drop(out.send(Err(error)).await);
            return;
        }
    }
}

async fn reserve(room: &Arc<Semaphore>, bytes: usize) -> Option<OwnedSemaphorePermit> {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(QUEUE_BYTES);
    // The semaphore is never closed.
    Arc::clone(room).acquire_many_owned(bytes).await.ok()
}

impl Pump {
    /// Waits for an event and takes those that are there with it.
    async fn gather(&mut self) -> (Vec<FeedEvent>, usize, Option<MoverError>) {
        let mut events = Vec::new();
        let mut bytes = 0;
        loop {
            let received = if events.is_empty() {
                self.receive().await
            } else if events.len() >= PORTION_EVENTS || bytes >= PORTION_BYTES {
                return (events, bytes, None);
            } else {
                match unconstrained(self.stream.next()).now_or_never() {
                    Some(received) => received.map_err(|source| self.failed(source)),
                    None => return (events, bytes, None),
                }
            };
            match received.and_then(decode) {
                Ok((event, length)) => {
                    events.push(event);
                    bytes += length + EVENT_BYTES;
                }
                Err(error) => return (events, bytes, Some(error)),
            }
        }
    }

    async fn receive(&mut self) -> Result<StreamEvent, MoverError> {
        loop {
            tokio::select! {
                biased;
                Ok(()) = self.heard.changed() => self.pass_on(),
                received = timeout(SILENCE, self.stream.next()) => {
                    return match received {
                        Ok(received) => received.map_err(|source| self.failed(source)),
                        Err(_) => Err(MoverError::Deadline {
                            side: self.side,
                            doing: "waiting for a sign of life of the change stream",
                            limit: SILENCE,
                        }),
                    };
                }
            }
        }
    }

    /// Waits for room, and passes acknowledgements on meanwhile: the room may
    /// take as long as the target does.
    async fn acknowledging<T>(&mut self, waiting: impl Future<Output = T>) -> T {
        tokio::pin!(waiting);
        loop {
            tokio::select! {
                biased;
                done = &mut waiting => return done,
                Ok(()) = self.heard.changed() => self.pass_on(),
            }
        }
    }

    fn pass_on(&mut self) {
        let stored = *self.heard.borrow_and_update();
        self.stream.store(stored);
    }

    fn failed(&self, source: ReplicationError) -> MoverError {
        MoverError::Stream {
            side: self.side,
            source,
        }
    }
}

fn decode(event: StreamEvent) -> Result<(FeedEvent, usize), MoverError> {
    let data = match event {
        StreamEvent::Reached(position) => return Ok((FeedEvent::Reached(position), 0)),
        StreamEvent::Data(data) => data,
    };
    let length = data.len();
    let message = pgoutput::decode(data)
        .map_err(|error| damaged(&format!("a message of it cannot be decoded: {error}")))?;
    Ok((FeedEvent::Message(message), length))
}

//! Positions in the log of a side's primary: the read-your-writes tokens.
//!
//! A token is taken *after* the answer to a write has arrived, and names a
//! position at or past that write. A reader on the other side waits until the
//! follower has passed it.
//!
//! On an idle server two things would make such a wait endless, and both are
//! handled here:
//!
//! - The insert position right after a page boundary includes the next page's
//!   header, which is written only together with the next record. The position
//!   that is flushed, and so the one that a follower receives, stops at
//!   the boundary. [`LogShape::normalise`] takes the header off.
//! - The insert position includes what open transactions have written; that is
//!   flushed with the next commit of any session. On an idle server there may
//!   be none. So when a sampled position is still not flushed
//!   after [`UNFLUSHED_LIMIT`], the sampler commits a small message of its own.

use crate::{database::session::Session, error::MoverError};
use plan::DatabaseUrl;
use postgres_types::PgLsn;
use protocol::{Lsn, Side};
use std::time::Duration;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};
use tokio_postgres::Statement;

/// The longest that [`Sampler::sample`] takes.
pub const SAMPLE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a sampled position may stay unflushed before the sampler
/// commits a message.
pub const UNFLUSHED_LIMIT: Duration = Duration::from_millis(5);

/// Calls waiting for the next query; one more is answered `None` if no room
/// comes free in time. Far more than a gateway has writes in flight.
const MOST_WAITING: usize = 4096;

/// Between attempts to connect.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// Positions that were not flushed are helped along by a message of this
/// prefix, which followers ignore.
const FLUSH_PREFIX: &str = "banyan-flush";

const SAMPLE: &str = "select \
    case when not pg_is_in_recovery() then pg_current_wal_insert_lsn() end, \
    case when not pg_is_in_recovery() then pg_current_wal_flush_lsn() end";

/// Takes positions of one side's primary, over one session of its own.
#[derive(Debug)]
pub struct Sampler {
    requests: mpsc::Sender<Request>,
    task: JoinHandle<()>,
}

type Request = oneshot::Sender<Lsn>;

impl Sampler {
    /// Starts it. It connects at the first call, and again whenever needed.
    /// Must be called inside a Tokio runtime.
    pub fn start(side: Side, database: &DatabaseUrl) -> Self {
        let (requests, waiting) = mpsc::channel(MOST_WAITING);
        let task = tokio::spawn(run(side, database.clone(), waiting));
        Self { requests, task }
    }

    /// The position of the log, taken after this call began. Calls that come
    /// while a query is under way share the next one.
    ///
    /// `None`: not known within [`SAMPLE_TIMEOUT`] (no connection, or no
    /// primary). Cancel safe.
    pub async fn sample(&self) -> Option<Lsn> {
        let (reply, answer) = oneshot::channel();
        let asking = async {
            self.requests.send(reply).await.ok()?;
            answer.await.ok()
        };
        timeout(SAMPLE_TIMEOUT, asking).await.ok().flatten()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(side: Side, database: DatabaseUrl, mut waiting: mpsc::Receiver<Request>) {
    let mut first = None;
    loop {
        if first.is_none() {
            first = waiting.recv().await;
        }
        // The sampler was dropped.
        if first.is_none() {
            return;
        }
        let error = match Log::open(side, &database).await {
            Ok(log) => match serve(&log, &mut waiting, &mut first).await {
                Ok(()) => return,
                Err(error) => error,
            },
            Err(error) => error,
        };
        tracing::debug!(%side, %error, "position sampler lost its session");
        tokio::time::sleep(RECONNECT_PAUSE).await;
        // A caller that timed out needs no position.
        first = first.filter(|request| !request.is_closed());
    }
}

/// Answers calls until the session fails; `first` is set to a call that was not
/// answered.
async fn serve(
    log: &Log,
    waiting: &mut mpsc::Receiver<Request>,
    first: &mut Option<Request>,
) -> Result<(), MoverError> {
    let mut batch = Vec::new();
    let mut unflushed: Option<Lsn> = None;
    loop {
        if let Some(request) = first.take() {
            batch.push(request);
        } else {
            let wait = unflushed.map_or(Duration::MAX, |_| UNFLUSHED_LIMIT);
            match timeout(wait, waiting.recv()).await {
                Ok(Some(request)) => batch.push(request),
                Ok(None) => return Ok(()),
                Err(_) => {
                    if let Some(position) = unflushed.take() {
                        log.help_flush(position).await?;
                    }
                    continue;
                }
            }
        }
        // Calls that began before the query share its result.
        while batch.len() < MOST_WAITING {
            let Ok(request) = waiting.try_recv() else {
                break;
            };
            batch.push(request);
        }
        match log.sample().await {
            Ok(Some(sample)) => {
                if sample.flushed < sample.inserted {
                    unflushed = Some(sample.inserted);
                }
                for request in batch.drain(..) {
                    // The receiver of a caller that timed out was dropped.
                    let _ = request.send(sample.inserted);
                }
            }
            // In recovery: dropping a request answers `None`.
            Ok(None) => {
                batch.clear();
                return Err(MoverError::Data {
                    object: format!("the {}'s database", log.session.side()),
                    problem: "it is in recovery, not a primary".to_owned(),
                    remedy: "Point the plan at the primary".to_owned(),
                });
            }
            Err(error) => {
                *first = batch.pop();
                return Err(error);
            }
        }
    }
}

struct Sample {
    inserted: Lsn,
    flushed: Lsn,
}

struct Log {
    session: Session,
    sample: Statement,
    shape: LogShape,
}

impl Log {
    async fn open(side: Side, database: &DatabaseUrl) -> Result<Self, MoverError> {
        let wrap = || MoverError::sql(side, "preparing to read the log's position");
        let session = Session::open(side, database).await?;
        // The flush that we force must not wait for standbys.
        session
            .batch_execute("set synchronous_commit = local; set statement_timeout = '1s'")
            .await
            .map_err(wrap())?;
        let shape = LogShape::read(&session).await?;
        let sample = session.prepare(SAMPLE).await.map_err(wrap())?;
        Ok(Self {
            session,
            sample,
            shape,
        })
    }

    async fn sample(&self) -> Result<Option<Sample>, MoverError> {
        let row = self
            .session
            .query_one(&self.sample, &[])
            .await
            .map_err(MoverError::sql(
                self.session.side(),
                "reading the log's position",
            ))?;
        let position = |at: usize| row.get::<_, Option<PgLsn>>(at).map(|lsn| Lsn(lsn.into()));
        Ok(position(0)
            .zip(position(1))
            .map(|(inserted, flushed)| Sample {
                inserted: self.shape.normalise(inserted),
                flushed,
            }))
    }

    /// Commits something, unless others have flushed that far by now.
    async fn help_flush(&self, position: Lsn) -> Result<(), MoverError> {
        let Some(now) = self.sample().await? else {
            return Ok(());
        };
        if now.flushed < position {
            self.session
                .query_one(
                    "select pg_logical_emit_message(true, $1, '')",
                    &[&FLUSH_PREFIX],
                )
                .await
                .map_err(MoverError::sql(self.session.side(), "flushing the log"))?;
        }
        Ok(())
    }
}

/// Sizes that say where page headers stand in a server's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogShape {
    page_bytes: u64,
    segment_bytes: u64,
}

impl LogShape {
    /// `SizeOfXLogShortPHD` and `SizeOfXLogLongPHD` of xlog_internal.h.
    const HEADER: u64 = 24;
    const FIRST_HEADER: u64 = 40;

    /// Reads the server's settings.
    pub async fn read(session: &Session) -> Result<Self, MoverError> {
        let row = session
            .query_one(
                "select (select setting::bigint from pg_settings where name = 'wal_block_size'), \
                        (select setting::bigint from pg_settings where name = 'wal_segment_size')",
                &[],
            )
            .await
            .map_err(MoverError::sql(
                session.side(),
                "reading the log's settings",
            ))?;
        let size = |at: usize| {
            u64::try_from(row.get::<_, i64>(at))
                .unwrap_or_default()
                .max(1)
        };
        Ok(Self {
            page_bytes: size(0),
            segment_bytes: size(1),
        })
    }

    /// Takes a page header off the end of an insert position: what is flushed
    /// stops before it.
    #[must_use]
    pub fn normalise(self, inserted: Lsn) -> Lsn {
        let Lsn(position) = inserted;
        let in_segment = position % self.segment_bytes;
        if in_segment == Self::FIRST_HEADER {
            Lsn(position - Self::FIRST_HEADER)
        } else if in_segment > self.page_bytes && in_segment % self.page_bytes == Self::HEADER {
            Lsn(position - Self::HEADER)
        } else {
            inserted
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_headers_are_taken_off() {
        let shape = LogShape {
            page_bytes: 8192,
            segment_bytes: 16 << 20,
        };
        let after = |position: u64| shape.normalise(Lsn(position)).0;
        let segment = 5 * (16 << 20);
        assert_eq!(after(segment + 40), segment);
        assert_eq!(
            after(segment + 24),
            segment + 24,
            "the first page's header is longer"
        );
        assert_eq!(after(segment + 8192 + 24), segment + 8192);
        assert_eq!(after(segment + 8192 + 40), segment + 8192 + 40);
        assert_eq!(after(segment + 8192), segment + 8192);
        assert_eq!(after(segment + 8192 + 32), segment + 8192 + 32);
    }
}

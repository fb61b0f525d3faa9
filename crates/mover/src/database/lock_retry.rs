//! Retries of transactions that need table locks, with short lock timeouts.
//!
//! A statement that waits for a strong lock makes every later one queue behind
//! it. So ours wait for [`LOCK_TIMEOUT`] only, give up, let the queue drain,
//! and are tried again, for [`RETRY_LIMIT`] at most.

use super::session::Session;
use crate::error::MoverError;
use protocol::Side;
use std::time::{Duration, Instant};
use tokio_postgres::{Transaction, error::SqlState};

/// How long one try may block the statements that queue behind it.
const LOCK_TIMEOUT: &str = "set local lock_timeout = '100ms'";

/// How long all tries together may take.
const RETRY_LIMIT: Duration = Duration::from_secs(30);

/// Between two tries: the first pause, and the longest, up to which it doubles.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(800));

/// Decides whether a step that failed on a lock is tried again.
pub(crate) struct LockRetry {
    side: Side,
    doing: &'static str,
    started: Instant,
    pause: Duration,
}

impl LockRetry {
    pub(crate) fn new(side: Side, doing: &'static str) -> Self {
        Self {
            side,
            doing,
            started: Instant::now(),
            pause: PAUSES.0,
        }
    }

    /// Pauses before the next try; the error if there is to be none.
    pub(crate) async fn wait_after(&mut self, error: MoverError) -> Result<(), MoverError> {
        if !matches!(&error, MoverError::Sql { source, .. } if met_a_lock(source)) {
            return Err(error);
        }
        if self.started.elapsed() > RETRY_LIMIT {
            return Err(MoverError::Deadline {
                side: self.side,
                doing: self.doing,
                limit: RETRY_LIMIT,
            });
        }
        tracing::debug!(side = %self.side, doing = self.doing, "a lock is taken, trying again");
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSES.1);
        Ok(())
    }
}

/// Begins a transaction whose waits for locks are short.
pub(crate) async fn begin(session: &mut Session) -> Result<Transaction<'_>, MoverError> {
    let side = session.side();
    let transaction = session
        .client_mut()
        .transaction()
        .await
        .map_err(MoverError::sql(side, "beginning a transaction"))?;
    transaction
        .batch_execute(LOCK_TIMEOUT)
        .await
        .map_err(MoverError::sql(side, "beginning a transaction"))?;
    Ok(transaction)
}

/// Whether a statement failed on a lock that somebody else holds.
pub(crate) fn met_a_lock(source: &tokio_postgres::Error) -> bool {
    source.code().is_some_and(|code| {
        // The last: an origin whose session is just ending.
        [
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::OBJECT_IN_USE,
        ]
        .contains(code)
    })
}

//! Retries of transactions that need table locks, with short lock timeouts.
//!
//! A statement that waits for a strong lock makes every later one queue behind
//! it. So ours wait for [`LOCK_TIMEOUT`] only, give up, let the queue drain,
//! and are tried again, for [`RETRY_LIMIT`] at most.

use super::{holders, session::Session};
use crate::error::MoverError;
use std::time::{Duration, Instant};
use tokio_postgres::{Transaction, error::SqlState};

/// How long one try may block the statements that queue behind it.
pub(crate) const LOCK_TIMEOUT: &str = "set local lock_timeout = '100ms'";

/// The longest that a weak lock may wait; it displaces autovacuum, which takes a
/// `deadlock_timeout` to notice.
pub(crate) const WEAK_LOCK_TIMEOUT: Duration = Duration::from_secs(3);

/// How long all tries together may take.
const RETRY_LIMIT: Duration = Duration::from_secs(30);

/// Between two tries: the first pause, and the longest, up to which it doubles.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(800));

/// Decides whether a step that failed on a lock is tried again.
pub(crate) struct LockRetry {
    doing: &'static str,
    started: Instant,
    pause: Duration,
}

impl LockRetry {
    pub(crate) fn new(doing: &'static str) -> Self {
        Self {
            doing,
            started: Instant::now(),
            pause: PAUSES.0,
        }
    }

    /// Pauses before the next try of what failed in a session; the error if
    /// there is to be none.
    pub(crate) async fn wait_after(
        &mut self,
        session: &Session,
        error: MoverError,
    ) -> Result<(), MoverError> {
        let (side, doing) = (session.side(), self.doing);
        if !matches!(&error, MoverError::Sql { source, .. } if met_a_lock(source)) {
            return Err(error);
        }
        if self.started.elapsed() > RETRY_LIMIT {
            let by = holders::of_tables(session, None).await;
            return Err(MoverError::Blocked {
                side,
                doing,
                limit: RETRY_LIMIT,
                by: by.map_err(MoverError::sql(side, doing))?,
            });
        }
        tracing::debug!(%side, doing, "a lock is taken, trying again");
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

/// Locks tables against DDL and vacuum for a transaction of [`begin`], writers
/// pass. Autovacuum gives its lock up to whoever has waited for a
/// `deadlock_timeout`, which the other waits are too short for; nobody but DDL
/// and vacuum queues behind this one.
pub(crate) async fn displace_autovacuum(
    transaction: &Transaction<'_>,
    tables: &str,
) -> Result<(), tokio_postgres::Error> {
    let statements = format!(
        "set local lock_timeout = '{}ms'; lock table {tables} in share update exclusive mode; \
         {LOCK_TIMEOUT}",
        WEAK_LOCK_TIMEOUT.as_millis()
    );
    transaction.batch_execute(&statements).await
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

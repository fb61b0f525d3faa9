//! Waiting for table locks without standing in anybody's way.
//!
//! A statement that waits for a strong lock makes everybody who comes later
//! queue behind it. So ours wait for [`LOCK_TIMEOUT`] only, give up, let the
//! queue pass, and come again, for [`PATIENCE`] at most.

use crate::{MoverError, connect::Session};
use protocol::Side;
use std::time::{Duration, Instant};
use tokio_postgres::{Transaction, error::SqlState};

/// How long one try may hold up those who queue behind it.
const LOCK_TIMEOUT: &str = "set local lock_timeout = '100ms'";

/// How long all tries together may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two tries; grows up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(800));

/// Decides whether a step that met a lock is tried again.
pub(crate) struct Patience {
    side: Side,
    doing: &'static str,
    started: Instant,
    pause: Duration,
}

impl Patience {
    pub(crate) fn new(side: Side, doing: &'static str) -> Self {
        Self {
            side,
            doing,
            started: Instant::now(),
            pause: PAUSES.0,
        }
    }

    /// Returns when the step may be tried again; the error if it may not.
    pub(crate) async fn again(&mut self, error: MoverError) -> Result<(), MoverError> {
        if !met_a_lock(&error) {
            return Err(error);
        }
        if self.started.elapsed() > PATIENCE {
            return Err(MoverError::Deadline {
                side: self.side,
                doing: self.doing,
                limit: PATIENCE,
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

fn met_a_lock(error: &MoverError) -> bool {
    let MoverError::Sql { source, .. } = error else {
        return false;
    };
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

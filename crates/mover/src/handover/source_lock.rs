//! The locks on the source's tables, and the session that holds them.

use super::transaction;
use crate::{
    database::{holders, lock_retry::WEAK_LOCK_TIMEOUT, session::Session, sql},
    error::MoverError,
    extraction::Mover,
    layout::ADVISORY_CLASS,
    objects::sessions,
};
use plan::TableWrites;
use protocol::Side;
use std::time::{Duration, Instant};
use tokio_postgres::error::SqlState;

/// How long after the longest hold the session may be silent before the server
/// ends it, and with it all its locks.
const SILENCE: Duration = Duration::from_secs(10);

/// A pause between two tries for the strong lock: time for the writers that
/// queued behind the first one to pass.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// How much of `deadlock_timeout` one try for the strong lock may take.
const DEADLOCK_SHARE: f64 = 0.8;

/// A session that holds the weak lock on all tables of the source, and, after
/// a fence, the advisory lock that writers wait on.
///
/// Dropping it gives both up.
pub struct SourceLock {
    session: Session,
    tables: Vec<String>,
    advisory_key: i32,
    deadlock_timeout: Duration,
    fence: Fence,
}

/// How far the fence has come in the lock's transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fence {
    Open,
    /// Whether it was committed is not known.
    Committing,
    Committed,
}

impl Mover {
    /// Takes `SHARE UPDATE EXCLUSIVE` on all tables of a side that its owner
    /// alone writes: no DDL, no vacuum, writers pass.
    pub async fn lock_weakly(&self, side: Side) -> Result<SourceLock, MoverError> {
        let session = Session::open(side, self.database(side)).await?;
        sessions::mark_at_work(&session, &self.layout()).await?;
        let wrap = || MoverError::sql(side, "taking the weak lock on the tables");
        // Should our host vanish, writers do not wait for its connection to be
        // taken for dead.
        let longest = (self.extraction.data.switch.hold + SILENCE).as_millis();
        let silence = format!(
            "set idle_in_transaction_session_timeout = {longest}; \
             set idle_session_timeout = {longest}"
        );
        session.batch_execute(&silence).await.map_err(wrap())?;
        let millis: f64 = session
            .query_one(
                "select extract(epoch from current_setting('deadlock_timeout')::interval)::float8 * 1000",
                &[],
            )
            .await
            .map_err(wrap())?
            .get(0);
        transaction::begin(&session, WEAK_LOCK_TIMEOUT).await?;
        let tables: Vec<String> = self
            .tables_written(side, TableWrites::Owner)
            .map(sql::table)
            .collect();
        let lock = format!(
            "lock table {} in share update exclusive mode",
            tables.join(", ")
        );
        session.batch_execute(&lock).await.map_err(wrap())?;
        Ok(SourceLock {
            session,
            tables,
            advisory_key: self.layout().advisory_key(),
            deadlock_timeout: Duration::from_secs_f64((millis * DEADLOCK_SHARE / 1000.0).max(0.01)),
            fence: Fence::Open,
        })
    }
}

impl SourceLock {
    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// The commit of the fence is being sent.
    pub(super) fn mark_committing(&mut self) {
        self.fence = Fence::Committing;
    }

    /// The fence has been committed.
    pub(super) fn mark_fenced(&mut self) {
        self.fence = Fence::Committed;
    }

    /// Whether the commit of a fence was not even sent, so that there is none.
    /// Its transaction may hold the owner's row.
    pub(super) fn is_unfenced(&self) -> bool {
        self.fence == Fence::Open
    }

    /// The session, if it committed a fence and still lives. In any other
    /// state it is of no use: its transaction ends with it.
    pub(super) fn fenced_session(&self) -> Option<&Session> {
        (self.fence == Fence::Committed && !self.session.is_closed()).then_some(&self.session)
    }

    /// Turns the weak lock into one that waits for running writers and blocks new
    /// ones, until `limit` is over. Each try is shorter than `deadlock_timeout`,
    /// so that no session's deadlock detection runs. Then takes the advisory
    /// lock.
    pub(super) async fn strengthen(&mut self, limit: Duration) -> Result<(), MoverError> {
        let side = self.session.side();
        let wrap = || MoverError::sql(side, "locking the tables");
        let deadline = Instant::now() + limit;
        let lock = format!(
            "lock table {} in share row exclusive mode",
            self.tables.join(", ")
        );
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let by = holders::of_tables(&self.session, Some(&self.tables))
                    .await
                    .map_err(wrap())?;
                return Err(MoverError::Blocked {
                    side,
                    doing: "locking the tables",
                    limit,
                    by,
                });
            }
            let try_for = left.min(self.deadlock_timeout).as_millis().max(1);
            let setting = format!("savepoint fence; set local statement_timeout = '{try_for}ms'");
            self.session.batch_execute(&setting).await.map_err(wrap())?;
            match self.session.batch_execute(&lock).await {
                Ok(()) => break,
                Err(error) if timed_out(&error) => {
                    self.session
                        .batch_execute("rollback to fence")
                        .await
                        .map_err(wrap())?;
                    tokio::time::sleep(RETRY_PAUSE.min(left)).await;
                }
                Err(error) => return Err(wrap()(error)),
            }
        }
        // These tables have no writers now, so no session holds it shared, but for
        // transactions that wrote them and others, which do not wait for it.
        // Without it writers get an error instead of waiting; no more.
        let left = deadline
            .saturating_duration_since(Instant::now())
            .as_millis()
            .max(1);
        let text = format!(
            "set local statement_timeout = '{left}ms'; \
             select pg_try_advisory_lock({ADVISORY_CLASS}, {})",
            self.advisory_key
        );
        self.session.batch_execute(&text).await.map_err(wrap())
    }
}

impl Drop for SourceLock {
    fn drop(&mut self) {
        // A server that waits for a lock does not notice that its client has
        // disconnected, and writers queue behind that lock: cancel the wait.
        if self.fence != Fence::Committed
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let cancel = self.session.cancel();
            runtime.spawn(async move { drop(cancel.send().await) });
        }
    }
}

fn timed_out(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| {
        *code == SqlState::QUERY_CANCELED
            || *code == SqlState::LOCK_NOT_AVAILABLE
            || *code == SqlState::T_R_DEADLOCK_DETECTED
    })
}

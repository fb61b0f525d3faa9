//! Who writes the tables that move: observed while following.
//!
//! A fence refuses every writer of the old owner's tables after the switch:
//! those that come through the routes have moved, all others get errors. So
//! each must be known before: its `application_name` is in the plan, or the
//! switch is refused.
//!
//! The lock table is sampled four times a second while the follower runs: that
//! costs the database next to nothing and reads no table of the user's. It can
//! miss a writer whose transactions are always shorter than the time between
//! two samples, though not for long.

use crate::{
    database::{session::Session, sql},
    error::MoverError,
    extraction::Mover,
};
use protocol::Side;
use serde::Serialize;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::task::JoinHandle;

/// Time between two samples.
const INTERVAL: Duration = Duration::from_millis(250);

/// Pause before a new session after an error.
const PAUSE: Duration = Duration::from_secs(2);

/// The most that are remembered; a database with more has no plan.
const MOST_WRITERS: usize = 1_000;

/// A session that has been seen to write a moved table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Writer {
    /// Its `application_name`, which may be empty.
    pub application: String,
    /// Its role.
    pub role: String,
    /// Another table that it wrote in the same transaction and that stays, if
    /// any: after the switch the two cannot be one transaction any more.
    pub together_with: Option<String>,
}

/// Samples the writers until it is dropped.
#[derive(Debug)]
pub struct WriterObserver {
    seen: Arc<Mutex<BTreeSet<Writer>>>,
    task: JoinHandle<()>,
}

/// Transactions that hold a writer's lock on one of the tables, ours left
/// out, each with what else they hold one on.
const WRITERS: &str = "with held as ( \
        select l.pid, l.relation, l.relation = any($1::text[]::regclass[]) as moved \
        from pg_locks l join pg_class c on c.oid = l.relation \
        where l.locktype = 'relation' and l.granted and l.mode = 'RowExclusiveLock' \
          and l.database = (select oid from pg_database where datname = current_database()) \
          and c.relkind in ('r', 'p') and c.relnamespace <> 'pg_catalog'::regnamespace) \
    select distinct coalesce(a.application_name, ''), coalesce(a.usename::text, ''), o.other \
    from (select distinct pid from held where moved) w \
    join pg_stat_activity a on a.pid = w.pid and a.usename is not null \
        and not (a.usename = session_user and a.application_name = 'banyan') \
    left join lateral (select min(h.relation::regclass::text) as other \
                       from held h where h.pid = w.pid and not h.moved) o on true";

impl WriterObserver {
    /// Begins to sample the monolith's side.
    pub fn start(mover: &Mover) -> Self {
        let seen = Arc::new(Mutex::new(BTreeSet::new()));
        let (mover, shared) = (mover.clone(), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            loop {
                if let Err(error) = sample(&mover, &shared).await {
                    tracing::debug!(%error, "looking for writers failed");
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { seen, task }
    }

    /// The writers seen so far.
    pub fn writers(&self) -> Vec<Writer> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().cloned().collect()
    }
}

impl Drop for WriterObserver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn sample(mover: &Mover, seen: &Mutex<BTreeSet<Writer>>) -> Result<(), MoverError> {
    let side = Side::Monolith;
    let session = Session::open(side, mover.database(side)).await?;
    let tables: Vec<String> = mover.tables(side).map(sql::table).collect();
    let wrap = || MoverError::sql(side, "looking for writers");
    let statement = session.prepare(WRITERS).await.map_err(wrap())?;
    loop {
        for row in session
            .query(&statement, &[&tables])
            .await
            .map_err(wrap())?
        {
            let writer = Writer {
                application: row.get(0),
                role: row.get(1),
                together_with: row.get(2),
            };
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.len() < MOST_WRITERS {
                seen.insert(writer);
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

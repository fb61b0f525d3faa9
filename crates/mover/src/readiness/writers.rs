//! Who writes the tables that move: looked for while following.
//!
//! A fence refuses every writer of the old owner's tables after the switch:
//! those that come through the routes have moved, all others get errors. So
//! each must be known before: its `application_name` is in the plan, or the
//! switch is refused.
//!
//! The lock table is sampled four times a second while the follower runs: that
//! costs the database next to nothing and reads no table of the user's. A
//! transaction that is shorter than the time between two samples may be missed,
//! so what was seen is kept in the database ([`crate::objects::notes`]), with the
//! time for which it was looked: the longer that is, the less is missed, and
//! nothing is forgotten by a restart. A switch wants a least time
//! (`switch.observe`).

use super::seen::{self, Observations};
use crate::{
    database::{session::Session, sql},
    error::MoverError,
    extraction::Mover,
    objects::notes::{self, Writer},
};
use plan::TableWrites;
use protocol::Side;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinHandle};

/// Time between two samples.
const INTERVAL: Duration = Duration::from_millis(250);

/// What was seen is kept this often, and what is kept is read again: at first,
/// when a switch may be waiting for it, and later.
const KEEP_FIRST: Duration = Duration::from_millis(500);
const KEEP_INTERVAL: Duration = Duration::from_secs(2);

/// Pause before a new session after an error.
const PAUSE: Duration = Duration::from_secs(2);

/// The most that wait to be kept.
const WAITING_MAX: usize = 1_000;

/// Samples the writers until it is dropped.
#[derive(Debug)]
pub struct WriterObserver {
    seen: watch::Sender<Observations>,
    task: JoinHandle<()>,
}

/// Transactions that hold a writer's lock on one of the tables, our sessions'
/// left out, each with what else they hold one on. Tables that both sides write
/// count neither as moved nor as staying.
const WRITERS: &str = "with held as ( \
        select l.pid, l.relation, l.relation = any($1::text[]::regclass[]) as moved \
        from pg_locks l join pg_class c on c.oid = l.relation \
        where l.locktype = 'relation' and l.granted and l.mode = 'RowExclusiveLock' \
          and l.database = (select oid from pg_database where datname = current_database()) \
          and l.relation <> all($2::text[]::regclass[]) \
          and c.relkind in ('r', 'p') and c.relnamespace <> 'pg_catalog'::regnamespace \
          and c.relnamespace is distinct from to_regnamespace('banyan')::oid) \
    select coalesce(a.application_name, ''), coalesce(a.usename::text, ''), \
        coalesce(host(a.client_addr), ''), \
        array(select h.relation::regclass::text from held h where h.pid = w.pid and h.moved), \
        array(select distinct coalesce(pg_partition_root(h.relation)::oid, h.relation)::regclass::text \
            from held h where h.pid = w.pid and not h.moved order by 1) \
    from (select distinct pid from held where moved) w \
    join pg_stat_activity a on a.pid = w.pid and a.usename is not null \
    where not (a.usename = session_user \
               and a.application_name = current_setting('application_name'))";

impl WriterObserver {
    /// Begins to sample the monolith's side.
    pub fn start(mover: &Mover) -> Self {
        let seen = watch::Sender::new(Observations::default());
        let (mover, shared) = (mover.clone(), seen.clone());
        let task = tokio::spawn(async move {
            loop {
                if let Err(error) = Box::pin(observe(&mover, &shared)).await {
                    tracing::debug!(%error, "looking for writers failed");
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { seen, task }
    }

    /// All that was seen and not forgotten, as the databases keep it, a few
    /// seconds old.
    pub fn seen(&self) -> Observations {
        self.seen.borrow().clone()
    }

    /// The databases have been read by somebody else.
    pub fn know(&self, seen: Observations) {
        self.seen.send_replace(seen);
    }
}

impl Drop for WriterObserver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One session's life.
async fn observe(mover: &Mover, shared: &watch::Sender<Observations>) -> Result<(), MoverError> {
    let side = Side::Monolith;
    let session = Session::open(side, mover.database(side)).await?;
    let statement = session
        .prepare(WRITERS)
        .await
        .map_err(MoverError::sql(side, "looking for writers"))?;
    let names =
        |writes| -> Vec<String> { mover.tables_written(side, writes).map(sql::table).collect() };
    let tables = names(TableWrites::Owner);
    let neutral = [names(TableWrites::Append), names(TableWrites::Split)].concat();
    let extraction = &mover.extraction.name;
    let mut service = None;
    let mut waiting: BTreeMap<(String, String, String), Writer> = BTreeMap::new();
    shared.send_replace(seen::read(mover, &session, &mut service).await?);
    let mut kept_at = Instant::now();
    let mut keep_after = KEEP_FIRST;
    loop {
        let rows = session
            .query(&statement, &[&tables, &neutral])
            .await
            .map_err(MoverError::sql(side, "looking for writers"))?;
        for row in &rows {
            let key = (row.get(0), row.get(1), row.get(2));
            if waiting.len() < WAITING_MAX || waiting.contains_key(&key) {
                let writer = waiting.entry(key.clone()).or_insert_with(|| unseen(key));
                writer.tables.extend(row.get::<_, Vec<String>>(3));
                writer.together_with.extend(row.get::<_, Vec<String>>(4));
                writer.sightings += 1;
            }
        }
        if kept_at.elapsed() >= keep_after {
            // Only the time in which the samples were taken counts.
            let looked = kept_at.elapsed();
            kept_at = Instant::now();
            keep_after = (keep_after * 2).min(KEEP_INTERVAL);
            for writer in waiting.values() {
                notes::add_writer(&*session, extraction, writer).await?;
            }
            waiting.clear();
            notes::add_looking(&*session, extraction, looked.as_secs_f64()).await?;
            shared.send_replace(seen::read(mover, &session, &mut service).await?);
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

fn unseen((application, role, address): (String, String, String)) -> Writer {
    Writer {
        application,
        role,
        address,
        tables: BTreeSet::new(),
        together_with: BTreeSet::new(),
        sightings: 0,
        first_seen: String::new(),
        last_seen: String::new(),
    }
}

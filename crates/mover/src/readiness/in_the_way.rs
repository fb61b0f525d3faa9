//! Transactions that hold moved tables, and give way neither to a lock nor soon.
//!
//! Locks say who is there. How old a transaction is, and whether a vacuum is one
//! against wraparound, is in `pg_stat_activity`, which shows neither of other
//! roles without a right, nor of anybody where `track_activities` is off. What is
//! not shown is found out another way: by looking twice, and by the table's age.

use super::blocker::{Blocker, blocker};
use crate::{database::session::Session, error::MoverError};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// Between two looks at transactions whose age is not shown.
const LOOK: Duration = Duration::from_millis(100);

/// Transactions that hold a writer's lock on one of the tables, with their age.
const WRITERS: &str = "select distinct l.relation::regclass::text, l.pid, \
        l.virtualtransaction, coalesce(a.application_name, ''), \
        extract(epoch from now() - a.xact_start)::float8 \
    from pg_locks l join pg_stat_activity a using (pid) \
    where l.locktype = 'relation' and l.relation = any($1::text[]::regclass[]) \
      and l.mode in ('RowExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', \
                     'ExclusiveLock', 'AccessExclusiveLock') \
      and a.usename is not null \
      and not (a.usename = session_user and a.application_name = 'banyan') \
      and coalesce(a.backend_type, 'client backend') = 'client backend' order by 1, 2";

/// A worker whose query is not shown is one against wraparound if the table is so
/// old that any would be.
const WRAPAROUND: &str = "select distinct l.relation::regclass::text \
    from pg_locks l join pg_stat_activity a using (pid) join pg_class c on c.oid = l.relation \
    where a.usename is null and coalesce(a.backend_type, 'autovacuum worker') = 'autovacuum worker' \
      and l.mode = 'ShareUpdateExclusiveLock' \
      and l.locktype = 'relation' and l.relation = any($1::text[]::regclass[]) \
      and (a.query like '%(to prevent wraparound)%' \
        or coalesce(a.query, '') in ('', '<insufficient privilege>') \
          and (age(c.relfrozenxid) > current_setting('autovacuum_freeze_max_age')::bigint \
            or mxid_age(c.relminmxid) \
                > current_setting('autovacuum_multixact_freeze_max_age')::bigint))";

/// A transaction that holds a writer's lock on a table.
struct Writer {
    table: String,
    pid: i32,
    /// Of its session and its own.
    transaction: String,
    application: String,
    /// In seconds, where it is shown.
    age: Option<f64>,
}

impl Writer {
    fn key(&self) -> (String, String) {
        (self.table.clone(), self.transaction.clone())
    }
}

/// Writers whose transactions are older than the drain waits, where that is shown.
pub(super) async fn old_writers(
    source: &Session,
    tables: &[String],
    drain: Duration,
    found: &mut Vec<Blocker>,
) -> Result<(), MoverError> {
    for writer in &writers(source, tables).await? {
        if let Some(age) = writer.age.filter(|age| *age > drain.as_secs_f64()) {
            found.push(old(writer, &format!("{age:.0} s")));
        }
    }
    Ok(())
}

/// Those whose age is not shown. Takes as long as the drain waits.
pub(super) async fn ageless_writers(
    source: &Session,
    tables: &[String],
    drain: Duration,
    found: &mut Vec<Blocker>,
) -> Result<(), MoverError> {
    let began = Instant::now();
    let mut now = writers(source, tables).await?;
    let unknown = |writer: &Writer| writer.age.is_none();
    let mut left: BTreeSet<_> = now
        .iter()
        .filter(|one| unknown(one))
        .map(Writer::key)
        .collect();
    while !left.is_empty() && began.elapsed() <= drain {
        tokio::time::sleep(LOOK).await;
        now = writers(source, tables).await?;
        let there: BTreeSet<_> = now.iter().map(Writer::key).collect();
        left.retain(|one| there.contains(one));
    }
    for writer in now.iter().filter(|one| left.contains(&one.key())) {
        let age = format!("{drain:?} at least, as its age is not shown");
        found.push(old(writer, &age));
    }
    Ok(())
}

async fn writers(source: &Session, tables: &[String]) -> Result<Vec<Writer>, MoverError> {
    let rows = source
        .query(WRITERS, &[&tables])
        .await
        .map_err(MoverError::sql(
            source.side(),
            "looking for transactions in the way",
        ))?;
    let writer = |row: &tokio_postgres::Row| Writer {
        table: row.get(0),
        pid: row.get(1),
        transaction: row.get(2),
        application: row.get(3),
        age: row.get(4),
    };
    Ok(rows.iter().map(writer).collect())
}

fn old(writer: &Writer, age: &str) -> Blocker {
    let Writer {
        application, pid, ..
    } = writer;
    blocker(
        writer.table.clone(),
        format!("a transaction of `{application}` (pid {pid}) has been writing it for {age}"),
        "Wait for it, or end it, and try again",
    )
}

/// Vacuums against wraparound: others give way.
pub(super) async fn wraparound(
    source: &Session,
    tables: &[String],
    found: &mut Vec<Blocker>,
) -> Result<(), MoverError> {
    let wrap = MoverError::sql(source.side(), "looking for vacuums in the way");
    for row in source.query(WRAPAROUND, &[&tables]).await.map_err(wrap)? {
        found.push(blocker(
            row.get::<_, String>(0),
            "it is being vacuumed against wraparound, which does not give way",
            "Wait until it is done",
        ));
    }
    Ok(())
}

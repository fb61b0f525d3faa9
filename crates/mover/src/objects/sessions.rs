//! Our sessions in a side's database, as another of ours sees them.
//!
//! A session that is at work for an extraction holds a lock that says so, shared
//! with the others: by it a new conductor finds what an earlier one has left
//! behind, which may hold an origin, a row or tables for as long as the server
//! takes its connection for alive.

use crate::{
    database::session::{APPLICATION_NAME, Session},
    error::MoverError,
    extraction::Mover,
    layout::{Layout, PRESENCE_CLASS, WORK_CLASS},
};
use protocol::stream::Direction;
use std::time::{Duration, Instant};

/// How long sessions that were ended may take to be gone.
pub(crate) const END_LIMIT: Duration = Duration::from_secs(10);

/// How often they are looked for.
const LOOK: Duration = Duration::from_millis(50);

/// Who holds a presence's lock.
pub(crate) struct Holder {
    pub(crate) pid: i32,
    /// When its last statement began. `None`: another role's, or not tracked.
    pub(crate) beat: Option<String>,
    /// The process, where it comes from and since when, in words.
    pub(crate) who: String,
}

const PRESENCE: &str = "select l.pid, a.query_start::text, \
        concat('pid ', l.pid, ' from ', coalesce(host(a.client_addr), 'this host'), \
            ', connected since ', coalesce(a.backend_start::timestamptz(0)::text, 'some time')) \
    from pg_locks l join pg_stat_activity a on a.pid = l.pid \
    where l.locktype = 'advisory' and l.classid = $1 and l.objid = $2 and l.objsubid = 2 \
      and l.database = (select oid from pg_database where datname = current_database()) \
      and l.granted limit 1";

/// Sessions at work, and whoever reads a slot of ours.
const EARLIER: &str = "select w.pid, pg_terminate_backend(w.pid) from ( \
        select l.pid from pg_locks l \
        where l.locktype = 'advisory' and l.classid = $1 and l.objid = $2 and l.objsubid = 2 \
          and l.database = (select oid from pg_database where datname = current_database()) \
        union select s.active_pid from pg_replication_slots s \
        where s.slot_name = $3 and s.database = current_database()) w \
    join pg_stat_activity a on a.pid = w.pid \
    where w.pid <> pg_backend_pid() and a.usename = session_user";

/// Sessions of ours that keep another one waiting.
const BLOCKERS: &str = "select a.pid, pg_terminate_backend(a.pid) \
    from unnest(pg_blocking_pids($1)) b join pg_stat_activity a on a.pid = b \
    where a.usename = session_user and a.application_name = $2 and a.pid <> pg_backend_pid()";

/// The bits of a lock's key, as `pg_locks` has them.
#[expect(clippy::cast_sign_loss, reason = "the same 32 bits")]
fn bits(key: i32) -> u32 {
    key as u32
}

/// What a session says that is at work for an extraction, until it ends.
pub(crate) fn at_work(layout: &Layout) -> String {
    let key = layout.advisory_key();
    format!("select pg_advisory_lock_shared({WORK_CLASS}, {key})")
}

/// Marks a session as at work.
pub(crate) async fn mark_at_work(session: &Session, layout: &Layout) -> Result<(), MoverError> {
    session
        .batch_execute(&at_work(layout))
        .await
        .map_err(MoverError::sql(session.side(), "marking a session"))
}

/// A session on each side that is at work, the monolith's first.
pub(crate) async fn both_at_work(mover: &Mover) -> Result<(Session, Session), MoverError> {
    let sessions = mover.sessions().await?;
    for session in [&sessions.0, &sessions.1] {
        mark_at_work(session, &mover.layout()).await?;
    }
    Ok(sessions)
}

/// Who is in charge, if anybody is.
pub(crate) async fn presence(session: &Session, key: i32) -> Result<Option<Holder>, MoverError> {
    let row = session
        .query_opt(PRESENCE, &[&bits(PRESENCE_CLASS), &bits(key)])
        .await
        .map_err(MoverError::sql(session.side(), "looking who is in charge"))?;
    Ok(row.map(|row| Holder {
        pid: row.get(0),
        beat: row.get(1),
        who: row.get(2),
    }))
}

/// Ends one session.
pub(crate) async fn end(session: &Session, pid: i32) -> Result<(), MoverError> {
    session
        .execute("select pg_terminate_backend($1)", &[&pid])
        .await
        .map(drop)
        .map_err(MoverError::sql(session.side(), "ending a session"))
}

/// Ends whatever an earlier conductor still has at work on this side, and waits
/// until it is gone. To be called by who is in charge, before it begins.
pub(crate) async fn end_earlier(session: &Session, layout: &Layout) -> Result<(), MoverError> {
    let side = session.side();
    let doing = "ending the sessions of an earlier conductor";
    let (class, key) = (bits(WORK_CLASS), bits(layout.advisory_key()));
    let slot = layout.slot(Direction::from_source(side));
    let began = Instant::now();
    loop {
        let ended = session
            .query(EARLIER, &[&class, &key, &slot])
            .await
            .map_err(MoverError::sql(side, doing))?;
        if ended.is_empty() {
            return Ok(());
        }
        if began.elapsed() > END_LIMIT {
            return Err(MoverError::Deadline {
                side,
                doing,
                limit: END_LIMIT,
            });
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Ends the sessions of ours that keep the one with this pid waiting.
pub(crate) async fn end_blockers(session: &Session, pid: i32) -> Result<(), MoverError> {
    session
        .query(BLOCKERS, &[&pid, &APPLICATION_NAME])
        .await
        .map(drop)
        .map_err(MoverError::sql(
            session.side(),
            "ending what an earlier conductor has left",
        ))
}

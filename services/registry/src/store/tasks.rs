//! Checks and syncs that are due, and who does them until when.
//!
//! Whoever locks a service's row and its tasks locks the service first.

use std::time::Duration;

use kit::database::{Database, DatabaseError, channel};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::{ASKED, CHANNEL, external::columns};
use crate::external::External;

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Work {
    /// Whether it is well.
    Check,
    /// Which reference panels it has.
    Sync,
}

/// Something to do, until the lease ends.
#[derive(Debug, FromRow)]
pub struct Task {
    /// What.
    pub work: Work,
    /// Shows that it is still ours.
    pub lease: Uuid,
    /// For whom.
    #[sqlx(flatten)]
    pub service: External,
}

/// How long leases are.
#[derive(Debug, Clone, Copy)]
pub struct Leases {
    /// Of a check.
    pub check: Duration,
    /// Of a sync.
    pub sync: Duration,
}

/// Takes what is due, at most `limit`, and what others took and did not end.
pub async fn lease(
    database: &Database,
    limit: i64,
    leases: Leases,
) -> Result<Vec<Task>, DatabaseError> {
    let tasks = sqlx::query_as(concat!(
        "with due as (select service, work from tasks where due_at <= clock_timestamp() \
           and (leased_until is null or leased_until < clock_timestamp()) \
           order by due_at limit $1 for update skip locked) \
         update tasks t set lease = gen_random_uuid(), asked = false, leased_until = \
           clock_timestamp() + case t.work when 'check' then $2 else $3 end * interval '1 second' \
         from due d join external_services s on s.id = d.service \
         where t.service = d.service and t.work = d.work returning t.work, t.lease, ",
        columns!()
    ))
    .bind(limit)
    .bind(leases.check.as_secs_f64())
    .bind(leases.sync.as_secs_f64())
    .fetch_all(database.pool())
    .await?;
    Ok(tasks)
}

/// Ends a task in the transaction that stores what came of it; false if it is
/// no longer ours, and nothing may be stored. It is due again after a while, or
/// at once if somebody has asked meanwhile.
pub async fn end(
    connection: &mut PgConnection,
    task: &Task,
    again_after: Duration,
) -> Result<bool, DatabaseError> {
    let ended = sqlx::query(
        "update tasks set lease = null, leased_until = null, due_at = clock_timestamp() + \
         case when asked then 0 else $4 end * interval '1 second' \
         where service = $1 and work = $2 and lease = $3",
    )
    .bind(task.service.id)
    .bind(task.work)
    .bind(task.lease)
    .bind(again_after.as_secs_f64())
    .execute(connection)
    .await?;
    Ok(ended.rows_affected() > 0)
}

/// Lets others do at once what we do not end.
pub async fn release(database: &Database, leases: &[Uuid]) -> Result<(), DatabaseError> {
    sqlx::query("update tasks set lease = null, leased_until = null where lease = any($1)")
        .bind(leases)
        .execute(database.pool())
        .await?;
    Ok(())
}

/// Has it done now, once more if it is being done; false if there is no such
/// task.
pub async fn ask(database: &Database, service: Uuid, work: Work) -> Result<bool, DatabaseError> {
    let asked = sqlx::query(
        "with asked as (update tasks set asked = true, due_at = least(due_at, clock_timestamp()) \
         where service = $1 and work = $2 returning 1) select pg_notify($3, $4) from asked",
    )
    .bind(service)
    .bind(work)
    .bind(channel(database, CHANNEL))
    .bind(ASKED)
    .execute(database.pool())
    .await?;
    Ok(asked.rows_affected() > 0)
}

//! Sagas in the database.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

use super::progress::Stage;
use crate::database::{Database, DatabaseError, channel};

/// The purpose of the channel that wakes runners.
pub(super) const CHANNEL: &str = "saga";

/// An input is what steps need to know, not a document store.
const MAX_INPUT_BYTES: usize = 64 * 1024;
/// At most so many on a page.
const MAX_PAGE: i64 = 200;

/// Why a saga was not begun.
#[derive(Debug, thiserror::Error)]
pub enum SagaError {
    /// The input is no JSON.
    #[error("the input of a saga of kind {kind} cannot be written as JSON")]
    Input {
        /// The saga's kind.
        kind: &'static str,
        /// Why not.
        source: serde_json::Error,
    },
    /// The input is too large.
    #[error(
        "the input of a saga of kind {kind} is larger than {MAX_INPUT_BYTES} bytes; store it and give its id"
    )]
    TooLarge {
        /// The saga's kind.
        kind: &'static str,
    },
    /// The database did not do it.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// How a saga stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Which one.
    pub id: Uuid,
    /// Its kind.
    pub kind: String,
    /// Where it is.
    pub stage: Stage,
    /// Tries of that step.
    pub attempts: u32,
    /// What the last failure said.
    pub last_error: Option<String>,
    /// Since when.
    pub changed_at: OffsetDateTime,
}

/// Begins a saga in the transaction of `connection`; with an id that is there
/// already, nothing: whoever repeats a request names its saga by it.
pub async fn begin(
    database: &Database,
    connection: &mut PgConnection,
    id: Uuid,
    kind: &'static str,
    input: &impl Serialize,
) -> Result<(), SagaError> {
    let input = serde_json::to_value(input).map_err(|source| SagaError::Input { kind, source })?;
    if input.to_string().len() > MAX_INPUT_BYTES {
        return Err(SagaError::TooLarge { kind });
    }
    sqlx::query(
        "with begun as (insert into sagas (id, kind, input, stage, step) \
         values ($1, $2, $3, 'forward', 0) on conflict do nothing returning 1) \
         select pg_notify($4, '') from begun",
    )
    .bind(id)
    .bind(kind)
    .bind(Json(input))
    .bind(channel(database, CHANNEL))
    .execute(connection)
    .await
    .map_err(DatabaseError::from)?;
    Ok(())
}

#[derive(FromRow)]
struct StatusRow {
    id: Uuid,
    kind: String,
    stage: String,
    step: i32,
    attempts: i32,
    last_error: Option<String>,
    changed_at: OffsetDateTime,
}

impl From<StatusRow> for Status {
    fn from(row: StatusRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            stage: stage(&row.stage, row.step),
            attempts: row.attempts.unsigned_abs(),
            last_error: row.last_error,
            changed_at: row.changed_at,
        }
    }
}

/// How a saga stands.
pub async fn status(database: &Database, id: Uuid) -> Result<Option<Status>, DatabaseError> {
    let row: Option<StatusRow> = sqlx::query_as(
        "select id, kind, stage, step, attempts, last_error, changed_at from sagas where id = $1",
    )
    .bind(id)
    .fetch_optional(database.pool())
    .await?;
    Ok(row.map(Status::from))
}

/// The sagas that a person must look at, the longest stuck first.
pub async fn stuck(database: &Database, limit: i64) -> Result<Vec<Status>, DatabaseError> {
    let rows: Vec<StatusRow> = sqlx::query_as(
        "select id, kind, stage, step, attempts, last_error, changed_at from sagas \
         where stage = 'stuck' order by changed_at limit $1",
    )
    .bind(limit.clamp(1, MAX_PAGE))
    .fetch_all(database.pool())
    .await?;
    Ok(rows.into_iter().map(Status::from).collect())
}

/// Goes on with a stuck saga where it is stuck; false if it is not.
pub async fn resume(database: &Database, id: Uuid) -> Result<bool, DatabaseError> {
    let resumed = sqlx::query(
        "with resumed as (update sagas set stage = 'backward', attempts = 0, lease = null, \
         due_at = clock_timestamp(), changed_at = clock_timestamp() \
         where id = $1 and stage = 'stuck' returning 1) select pg_notify($2, '') from resumed",
    )
    .bind(id)
    .bind(channel(database, CHANNEL))
    .execute(database.pool())
    .await?;
    Ok(resumed.rows_affected() > 0)
}

/// Deletes at most `limit` sagas that ended longer ago than `age`.
pub async fn sweep(database: &Database, age: Duration, limit: i64) -> Result<u64, DatabaseError> {
    let swept = sqlx::query(
        "delete from sagas where id = any(array(select id from sagas \
         where stage in ('completed', 'compensated') \
         and changed_at < clock_timestamp() - $1 limit $2))",
    )
    .bind(age)
    .bind(limit)
    .execute(database.pool())
    .await?;
    Ok(swept.rows_affected())
}

/// A saga that is ours until the lease ends.
#[derive(Debug, FromRow)]
pub(super) struct Leased {
    pub(super) id: Uuid,
    pub(super) kind: String,
    pub(super) input: Value,
    stage: String,
    step: i32,
    attempts: i32,
}

impl Leased {
    pub(super) fn stage(&self) -> Stage {
        stage(&self.stage, self.step)
    }

    pub(super) fn attempts(&self) -> u32 {
        self.attempts.unsigned_abs()
    }
}

fn stage(name: &str, step: i32) -> Stage {
    let step = step.unsigned_abs();
    match name {
        "forward" => Stage::Forward { step },
        "backward" => Stage::Backward { step },
        "completed" => Stage::Completed,
        "compensated" => Stage::Compensated,
        // The table has no other.
        _ => Stage::Stuck { step },
    }
}

/// The try that is about to begin counts: a step that kills its runner does not
/// do so for ever.
const LEASE: &str = "with due as (select id from sagas where kind = any($1) \
       and stage in ('forward', 'backward') and due_at <= clock_timestamp() \
       order by due_at limit $2 for update skip locked) \
     update sagas s set lease = $3, attempts = attempts + 1, due_at = clock_timestamp() + $4 \
     from due where s.id = due.id \
     returning s.id, s.kind, s.input, s.stage, s.step, s.attempts";

pub(super) async fn lease(
    database: &Database,
    kinds: &[&str],
    limit: usize,
    token: Uuid,
    duration: Duration,
) -> Result<Vec<Leased>, DatabaseError> {
    let leased = sqlx::query_as(LEASE)
        .bind(kinds)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .bind(token)
        .bind(duration)
        .fetch_all(database.pool())
        .await?;
    Ok(leased)
}

/// Locks the row; false if the lease is no longer ours.
pub(super) async fn hold(
    connection: &mut PgConnection,
    saga: Uuid,
    token: Uuid,
) -> Result<bool, sqlx::Error> {
    let held: Option<i32> =
        sqlx::query_scalar("select 1 from sagas where id = $1 and lease = $2 for update")
            .bind(saga)
            .bind(token)
            .fetch_optional(connection)
            .await?;
    Ok(held.is_some())
}

pub(super) async fn outputs(
    connection: &mut PgConnection,
    saga: Uuid,
) -> Result<Vec<(String, Value)>, sqlx::Error> {
    sqlx::query_as("select name, output from saga_steps where saga = $1 order by step")
        .bind(saga)
        .fetch_all(connection)
        .await
}

pub(super) async fn performed(
    connection: &mut PgConnection,
    saga: Uuid,
    step: u32,
    name: &str,
    output: &Value,
) -> Result<(), sqlx::Error> {
    sqlx::query("insert into saga_steps (saga, step, name, output) values ($1, $2, $3, $4)")
        .bind(saga)
        .bind(step.cast_signed())
        .bind(name)
        .bind(output)
        .execute(connection)
        .await
        .map(|_| ())
}

pub(super) async fn undone(
    connection: &mut PgConnection,
    saga: Uuid,
    step: u32,
) -> Result<(), sqlx::Error> {
    sqlx::query("update saga_steps set undone_at = clock_timestamp() where saga = $1 and step = $2")
        .bind(saga)
        .bind(step.cast_signed())
        .execute(connection)
        .await
        .map(|_| ())
}

/// Moves to a stage. While there is more to do the lease goes on, and the
/// first try of the next step counts as begun.
pub(super) async fn moved(
    connection: &mut PgConnection,
    saga: Uuid,
    stage: Stage,
    error: Option<&str>,
    lease: Duration,
) -> Result<(), sqlx::Error> {
    let (name, step, goes_on) = match stage {
        Stage::Forward { step } => ("forward", step, true),
        Stage::Backward { step } => ("backward", step, true),
        Stage::Completed => ("completed", 0, false),
        Stage::Compensated => ("compensated", 0, false),
        Stage::Stuck { step } => ("stuck", step, false),
    };
    sqlx::query(
        "update sagas set stage = $2, step = $3, last_error = coalesce($4, last_error), \
         attempts = case when $5 then 1 else attempts end, \
         lease = case when $5 then lease end, due_at = clock_timestamp() + $6, \
         changed_at = clock_timestamp() where id = $1",
    )
    .bind(saga)
    .bind(name)
    .bind(step.cast_signed())
    .bind(error)
    .bind(goes_on)
    .bind(lease)
    .execute(connection)
    .await
    .map(|_| ())
}

/// Half to all of the wait, by chance.
pub(super) async fn postponed(
    connection: &mut PgConnection,
    saga: Uuid,
    error: &str,
    wait: Duration,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update sagas set last_error = $2, lease = null, changed_at = clock_timestamp(), \
         due_at = clock_timestamp() + $3 * (0.5 + random() / 2) where id = $1",
    )
    .bind(saga)
    .bind(error)
    .bind(wait)
    .execute(connection)
    .await
    .map(|_| ())
}

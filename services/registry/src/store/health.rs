//! What came of checks.

use std::time::Duration;

use kit::database::{Database, DatabaseError, commit};
use serde::Serialize;
use sqlx::FromRow;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::external::{self, columns};
use super::history::{History, KEPT};
use super::tasks::{self, Task};
use crate::external::External;
use crate::health::{Health, Outcome};

/// A check, as it is told.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct Check {
    /// When it ended.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// `passed`, `slow` or `failed`.
    pub outcome: String,
    /// How long it took.
    pub milliseconds: i32,
    /// Why it failed.
    pub reason: Option<String>,
}

/// A change of state, as it is told.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct Transition {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// From which state.
    pub from_state: String,
    /// To which one.
    pub to_state: String,
    /// Why the check failed that led to it.
    pub reason: Option<String>,
}

/// Stores a check and what follows from it; false if the lease was lost.
pub async fn store(
    database: &Database,
    task: &Task,
    outcome: &Outcome,
    time: Duration,
) -> Result<bool, DatabaseError> {
    let mut transaction = database.begin().await?;
    let id = task.service.id;
    let Some(service) = external::locked(&mut transaction, id).await? else {
        return Ok(false);
    };
    let interval = u64::try_from(service.check_interval_seconds).unwrap_or(1);
    if !tasks::end(&mut transaction, task, Duration::from_secs(interval)).await? {
        return Ok(false);
    }
    let before = Health {
        state: service.state,
        passes: service.passes,
        failures: service.failures,
    };
    let after = before.after(outcome, service.thresholds());
    sqlx::query(
        "update external_services set state = $2, passes = $3, failures = $4, \
         state_since = case when state = $2 then state_since else clock_timestamp() end \
         where id = $1",
    )
    .bind(id)
    .bind(after.state)
    .bind(after.passes)
    .bind(after.failures)
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "insert into checks (service, outcome, milliseconds, reason) values ($1, $2, $3, $4)",
    )
    .bind(id)
    .bind(outcome.name())
    .bind(i32::try_from(time.as_millis()).unwrap_or(i32::MAX))
    .bind(outcome.reason())
    .execute(&mut *transaction)
    .await?;
    History::Checks.cut(&mut transaction, id).await?;
    if before.state != after.state {
        sqlx::query(
            "insert into transitions (service, from_state, to_state, reason) \
             values ($1, $2, $3, $4)",
        )
        .bind(id)
        .bind(before.state)
        .bind(after.state)
        .bind(outcome.reason())
        .execute(&mut *transaction)
        .await?;
        History::Transitions.cut(&mut transaction, id).await?;
    }
    commit(transaction).await?;
    Ok(true)
}

/// A service, its last checks and its last changes of state, the newest first,
/// all as of one moment; `None` if there is no such service.
pub async fn report(
    database: &Database,
    id: Uuid,
) -> Result<Option<(External, Vec<Check>, Vec<Transition>)>, DatabaseError> {
    let begin = "begin isolation level repeatable read, read only";
    let mut moment = database.pool().begin_with(begin).await?;
    let service = sqlx::query_as(concat!(
        "select ",
        columns!(),
        " from external_services s where id = $1"
    ));
    let Some(service) = service.bind(id).fetch_optional(&mut *moment).await? else {
        return Ok(None);
    };
    let checks = sqlx::query_as(
        "select at, outcome, milliseconds, reason from checks where service = $1 \
         order by number desc limit $2",
    )
    .bind(id)
    .bind(KEPT)
    .fetch_all(&mut *moment)
    .await?;
    let transitions = sqlx::query_as(
        "select at, from_state, to_state, reason from transitions where service = $1 \
         order by number desc limit $2",
    )
    .bind(id)
    .bind(KEPT)
    .fetch_all(&mut *moment)
    .await?;
    commit(moment).await?;
    Ok(Some((service, checks, transitions)))
}

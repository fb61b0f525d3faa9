//! The queue of one consumer in the database: lease what is next, note what
//! became of it.
//!
//! A lease is a token and an end, kept in `due_at`: whoever dies with it loses
//! it then. It counts as a try when it is taken, so that an event that kills
//! its relay is a dead letter too, some day.

use std::time::Duration;

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Delivery, Event};
use crate::database::{Database, DatabaseError};

/// The first undelivered event of each key that has no lease and is due.
///
/// `for update` looks at the row again once it has it, so of two relays that
/// saw it free one gets it. The order holds, since of a key only the first is
/// looked for, and none with a smaller number can still appear ([`super::emit`]).
const LEASE: &str = "with due as ( \
       select d.consumer, d.event from outbox_deliveries d \
       where d.consumer = $1 and d.dead_at is null and d.due_at <= clock_timestamp() \
       and not exists (select from outbox_deliveries p where p.consumer = d.consumer \
         and p.key = d.key and p.event < d.event and p.dead_at is null) \
       order by d.due_at, d.event limit $2 for update of d skip locked \
     ) update outbox_deliveries d \
     set lease = $3, attempts = attempts + 1, due_at = clock_timestamp() + $4 \
     from due, outbox_events e \
     where d.consumer = due.consumer and d.event = due.event and e.id = d.event \
     returning e.id as number, d.attempts, e.event, e.topic, e.key, e.payload, e.emitted_at";

const DELIVERED: &str =
    "delete from outbox_deliveries where consumer = $1 and event = $2 and lease = $3";

/// Whoever is last clears up. Of two at once neither may be: then the sweep does.
const FORGET: &str = "delete from outbox_events e where e.id = $1 \
     and not exists (select from outbox_deliveries d where d.event = e.id)";

/// Half to all of the wait, by chance.
const POSTPONED: &str = "update outbox_deliveries set lease = null, last_error = $4, \
     due_at = clock_timestamp() + $5 * (0.5 + random() / 2) \
     where consumer = $1 and event = $2 and lease = $3";

const DEAD: &str = "update outbox_deliveries set lease = null, last_error = $4, \
     dead_at = clock_timestamp() where consumer = $1 and event = $2 and lease = $3";

/// Long reasons are cut: they are for a person.
const MAX_REASON_LENGTH: usize = 500;

#[derive(Debug, sqlx::FromRow)]
struct LeasedRow {
    event: Uuid,
    number: i64,
    attempts: i32,
    topic: String,
    key: String,
    payload: serde_json::Value,
    emitted_at: OffsetDateTime,
}

/// A delivery that is ours until the lease ends.
#[derive(Debug, Clone)]
pub(super) struct Leased {
    number: i64,
    token: Uuid,
    pub(super) delivery: Delivery,
}

/// Whether the lease was still held when an outcome was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeaseState {
    Held,
    Lost,
}

pub(super) async fn lease(
    database: &Database,
    consumer: &str,
    limit: usize,
    duration: Duration,
) -> Result<Vec<Leased>, DatabaseError> {
    let token = Uuid::new_v4();
    let rows: Vec<LeasedRow> = sqlx::query_as(LEASE)
        .bind(consumer)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .bind(token)
        .bind(duration)
        .fetch_all(database.pool())
        .await?;
    let leased = rows.into_iter().map(|row| Leased {
        number: row.number,
        token,
        delivery: Delivery {
            attempt: row.attempts.unsigned_abs(),
            event: Event {
                id: row.event,
                topic: row.topic,
                key: row.key,
                payload: row.payload,
                emitted_at: row.emitted_at,
            },
        },
    });
    Ok(leased.collect())
}

impl Leased {
    pub(super) async fn delivered(
        &self,
        connection: &mut PgConnection,
        consumer: &str,
    ) -> Result<LeaseState, DatabaseError> {
        let deleted = sqlx::query(DELIVERED)
            .bind(consumer)
            .bind(self.number)
            .bind(self.token)
            .execute(&mut *connection)
            .await?;
        sqlx::query(FORGET)
            .bind(self.number)
            .execute(connection)
            .await?;
        Ok(noted(deleted.rows_affected()))
    }

    pub(super) async fn postponed(
        &self,
        connection: &mut PgConnection,
        consumer: &str,
        reason: &str,
        wait: Duration,
    ) -> Result<LeaseState, DatabaseError> {
        let updated = sqlx::query(POSTPONED)
            .bind(consumer)
            .bind(self.number)
            .bind(self.token)
            .bind(shortened(reason))
            .bind(wait)
            .execute(connection)
            .await?;
        Ok(noted(updated.rows_affected()))
    }

    pub(super) async fn dead(
        &self,
        connection: &mut PgConnection,
        consumer: &str,
        reason: &str,
    ) -> Result<LeaseState, DatabaseError> {
        let updated = sqlx::query(DEAD)
            .bind(consumer)
            .bind(self.number)
            .bind(self.token)
            .bind(shortened(reason))
            .execute(connection)
            .await?;
        Ok(noted(updated.rows_affected()))
    }
}

fn noted(rows: u64) -> LeaseState {
    if rows == 1 {
        LeaseState::Held
    } else {
        LeaseState::Lost
    }
}

/// Without what a terminal or PostgreSQL would take amiss.
pub(crate) fn shortened(reason: &str) -> String {
    reason
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_REASON_LENGTH)
        .collect()
}

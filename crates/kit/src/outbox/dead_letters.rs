//! What could not be delivered, and how much is waiting.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::CHANNEL;
use crate::database::{Database, DatabaseError, channel};

/// At most so many on a page.
pub const MAX_PAGE: i64 = 200;
/// Beyond so many the oldest dead letters are dropped: nobody reads more, and
/// the table must not grow for ever.
const MAX_DEAD_LETTERS: i64 = 10_000;
/// A repeat after longer than this is not recognised as one.
const INBOX_RETENTION: &str = "14 days";

/// An event that a consumer did not take.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct DeadLetter {
    /// Who did not take it.
    pub consumer: String,
    /// The event's id.
    pub event: Uuid,
    /// What kind of event.
    pub topic: String,
    /// Its key.
    pub key: String,
    /// What happened.
    pub payload: serde_json::Value,
    /// How often it was tried.
    pub attempts: i32,
    /// What the last try ended with.
    pub last_error: Option<String>,
    /// When it happened.
    pub emitted_at: OffsetDateTime,
    /// When it was given up.
    pub dead_at: OffsetDateTime,
}

/// How an outbox stands.
#[derive(Debug, Clone, Copy, PartialEq, sqlx::FromRow)]
pub struct Backlog {
    /// Deliveries that are waiting or under way.
    pub waiting: i64,
    /// Since when the oldest of them waits, in seconds.
    pub oldest_seconds: f64,
    /// Dead letters.
    pub dead: i64,
}

/// The dead letters of all consumers, the latest first.
pub async fn dead_letters(
    database: &Database,
    before: Option<OffsetDateTime>,
    limit: i64,
) -> Result<Vec<DeadLetter>, DatabaseError> {
    let letters = sqlx::query_as(
        "select d.consumer, e.event, e.topic, e.key, e.payload, d.attempts, d.last_error, \
         e.emitted_at, d.dead_at from outbox_deliveries d \
         join outbox_events e on e.id = d.event \
         where d.dead_at is not null and ($1::timestamptz is null or d.dead_at < $1) \
         order by d.dead_at desc limit $2",
    )
    .bind(before)
    .bind(limit.clamp(1, MAX_PAGE))
    .fetch_all(database.pool())
    .await?;
    Ok(letters)
}

/// Sends a dead letter again, as if it were new, in the transaction of
/// `connection`; false if there is no such one. Later events of its key may
/// have been delivered before it.
pub async fn replay(
    database: &Database,
    connection: &mut PgConnection,
    consumer: &str,
    event: Uuid,
) -> Result<bool, DatabaseError> {
    let woken = sqlx::query(
        "with risen as (update outbox_deliveries d set dead_at = null, attempts = 0, \
         due_at = clock_timestamp() from outbox_events e where e.id = d.event \
         and d.consumer = $1 and e.event = $2 and d.dead_at is not null returning 1) \
         select pg_notify($3, '') from risen",
    )
    .bind(consumer)
    .bind(event)
    .bind(channel(database, CHANNEL))
    .execute(connection)
    .await?;
    Ok(woken.rows_affected() > 0)
}

/// How the outbox stands, for metrics.
pub async fn backlog(database: &Database) -> Result<Backlog, DatabaseError> {
    let backlog = sqlx::query_as(
        "select count(*) filter (where d.dead_at is null) as waiting, \
         coalesce(extract(epoch from clock_timestamp() \
           - min(e.emitted_at) filter (where d.dead_at is null)), 0)::float8 as oldest_seconds, \
         count(*) filter (where d.dead_at is not null) as dead \
         from outbox_deliveries d join outbox_events e on e.id = d.event",
    )
    .fetch_one(database.pool())
    .await?;
    Ok(backlog)
}

/// Deletes what nobody needs any more, at most `limit` rows of each kind: events
/// without deliveries, dead letters beyond the bound, old entries of the inbox.
pub async fn sweep(database: &Database, limit: i64) -> Result<u64, DatabaseError> {
    let mut swept = 0;
    let dropped = sqlx::query(
        "delete from outbox_deliveries where ctid = any(array( \
         select ctid from outbox_deliveries where dead_at is not null \
         order by dead_at desc offset $1 limit $2))",
    )
    .bind(MAX_DEAD_LETTERS)
    .bind(limit)
    .execute(database.pool())
    .await?
    .rows_affected();
    if dropped > 0 {
        tracing::error!(
            dropped,
            "there were too many dead letters: the oldest are gone"
        );
    }
    swept += dropped;
    for statement in [
        "delete from outbox_events where id = any(array( \
         select id from outbox_events e where not exists ( \
         select from outbox_deliveries d where d.event = e.id) \
         order by id limit $1)) and $2 is not null",
        "delete from inbox where ctid = any(array( \
         select ctid from inbox where received_at < clock_timestamp() - $2::interval \
         order by received_at limit $1))",
    ] {
        swept += sqlx::query(statement)
            .bind(limit)
            .bind(INBOX_RETENTION)
            .execute(database.pool())
            .await?
            .rows_affected();
    }
    Ok(swept)
}

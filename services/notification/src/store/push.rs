//! Messages that users get over a WebSocket, numbered per user without gaps.

use kit::database::{Database, DatabaseError, channel};
use serde_json::Value;
use sqlx::PgConnection;

/// The purpose of the channel that wakes those who wait for messages.
pub const CHANNEL: &str = "push";

/// So many are kept per user for whoever comes back.
const MAX_PER_USER: i64 = 1000;
/// And for so long.
const RETENTION: &str = "7 days";

/// A numbered message.
#[derive(Debug, sqlx::FromRow)]
pub struct Message {
    /// Its number, from 1.
    pub number: i64,
    /// What it says.
    pub message: Value,
}

/// Appends a message in the transaction of `connection`, which holds up others
/// for the same user until it ends.
pub async fn append(
    database: &Database,
    connection: &mut PgConnection,
    user: &str,
    message: &Value,
) -> Result<(), DatabaseError> {
    sqlx::query(
        "with head as (insert into push_heads as h (user_id, last) values ($1, 1) \
         on conflict (user_id) do update set last = h.last + 1 returning last), \
         written as (insert into push_messages (user_id, number, message) \
         select $1, last, $2 from head returning 1) select pg_notify($3, $1) from written",
    )
    .bind(user)
    .bind(message)
    .bind(channel(database, CHANNEL))
    .execute(connection)
    .await?;
    Ok(())
}

/// The number of a user's last message; 0 if there was none.
pub async fn last(database: &Database, user: &str) -> Result<i64, DatabaseError> {
    let last: Option<i64> = sqlx::query_scalar("select last from push_heads where user_id = $1")
        .bind(user)
        .fetch_optional(database.pool())
        .await?;
    Ok(last.unwrap_or(0))
}

/// The messages after a number, at most `limit`, in order. The first may have a
/// larger number than the next: those between are no longer kept.
pub async fn after(
    database: &Database,
    user: &str,
    number: i64,
    limit: i64,
) -> Result<Vec<Message>, DatabaseError> {
    let messages = sqlx::query_as(
        "select number, message from push_messages where user_id = $1 and number > $2 \
         order by number limit $3",
    )
    .bind(user)
    .bind(number)
    .bind(limit)
    .fetch_all(database.pool())
    .await?;
    Ok(messages)
}

/// Deletes what is no longer kept, at most `limit` rows of each kind.
pub(super) async fn sweep(database: &Database, limit: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "delete from push_messages where ctid = any(array(select ctid from push_messages \
         where created_at < clock_timestamp() - $1::interval order by created_at limit $2))",
    )
    .bind(RETENTION)
    .bind(limit)
    .execute(database.pool())
    .await?;
    sqlx::query(
        "delete from push_messages where ctid = any(array(select m.ctid from push_messages m \
         join push_heads h on h.user_id = m.user_id and m.number <= h.last - $1 limit $2))",
    )
    .bind(MAX_PER_USER)
    .bind(limit)
    .execute(database.pool())
    .await?;
    Ok(())
}

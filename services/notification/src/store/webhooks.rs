//! Users' web-hooks.

use kit::database::{Database, DatabaseError};
use serde::Serialize;
use serde_json::json;
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

/// A user's own limit: each notification is sent to each.
pub const MAX_PER_USER: i64 = 5;

/// A web-hook, without its secret.
#[derive(Debug, Serialize, FromRow)]
pub struct Hook {
    /// Which one.
    pub id: Uuid,
    /// Where it leads.
    pub url: String,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Since when its receiver says that it is gone.
    #[serde(with = "time::serde::rfc3339::option")]
    pub gone_at: Option<OffsetDateTime>,
}

/// A request to make.
#[derive(Debug)]
pub struct Call {
    /// Which web-hook.
    pub webhook: Uuid,
    /// Where to.
    pub url: String,
    /// Signs it.
    pub secret: Vec<u8>,
    /// What is told.
    pub document: serde_json::Value,
}

#[derive(FromRow)]
struct CallRow {
    webhook: Uuid,
    url: String,
    secret: Vec<u8>,
    notification: Uuid,
    user_id: String,
    category: String,
    subject: String,
    body: String,
    created_at: OffsetDateTime,
}

/// The request of a delivery; none if the web-hook was removed or is gone.
pub async fn call(database: &Database, delivery: Uuid) -> Result<Option<Call>, DatabaseError> {
    let row: Option<CallRow> = sqlx::query_as(
        "select w.id as webhook, w.url, w.secret, n.id as notification, n.user_id, n.category, \
         n.subject, n.body, n.created_at from deliveries d \
         join notifications n on n.id = d.notification join webhooks w on w.id = d.webhook \
         where d.id = $1 and w.gone_at is null",
    )
    .bind(delivery)
    .fetch_optional(database.pool())
    .await?;
    Ok(row.map(|row| Call {
        webhook: row.webhook,
        url: row.url,
        secret: row.secret,
        document: json!({
            "type": "notification",
            "timestamp": row.created_at.unix_timestamp(),
            "data": {
                "id": row.notification,
                "user_id": row.user_id,
                "category": row.category,
                "subject": row.subject,
                "text": row.body,
            },
        }),
    }))
}

/// The web-hooks of a user that are still there. They stay until the transaction
/// ends: a delivery that refers to one that is removed would be refused, and the
/// whole notification with it.
pub async fn live(connection: &mut PgConnection, user: &str) -> Result<Vec<Uuid>, DatabaseError> {
    let ids = sqlx::query_scalar(
        "select id from webhooks where user_id = $1 and gone_at is null \
         order by created_at, id for key share",
    )
    .bind(user)
    .fetch_all(connection)
    .await?;
    Ok(ids)
}

/// All web-hooks of a user.
pub async fn list(database: &Database, user: &str) -> Result<Vec<Hook>, DatabaseError> {
    let hooks = sqlx::query_as(
        "select id, url, created_at, gone_at from webhooks where user_id = $1 \
         order by created_at, id",
    )
    .bind(user)
    .fetch_all(database.pool())
    .await?;
    Ok(hooks)
}

/// Adds one; `None` if the user has as many as they may.
pub async fn add(
    database: &Database,
    user: &str,
    url: &str,
    secret: &[u8],
) -> Result<Option<Hook>, DatabaseError> {
    let mut transaction = database.begin().await?;
    // Two at once must not both find room.
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('webhooks:' || $1, 0))")
        .bind(user)
        .execute(&mut *transaction)
        .await?;
    let hook = sqlx::query_as(
        "insert into webhooks (id, user_id, url, secret) select $1, $2, $3, $4 \
         where (select count(*) from webhooks where user_id = $2) < $5 \
         returning id, url, created_at, gone_at",
    )
    .bind(Uuid::new_v4())
    .bind(user)
    .bind(url)
    .bind(secret)
    .bind(MAX_PER_USER)
    .fetch_optional(&mut *transaction)
    .await?;
    kit::database::commit(transaction).await?;
    Ok(hook)
}

/// Removes one; false if the user has no such one.
pub async fn remove(database: &Database, user: &str, id: Uuid) -> Result<bool, DatabaseError> {
    let removed = sqlx::query("delete from webhooks where id = $1 and user_id = $2")
        .bind(id)
        .bind(user)
        .execute(database.pool())
        .await?;
    Ok(removed.rows_affected() > 0)
}

/// Notes that its receiver wants no more.
pub async fn mark_gone(database: &Database, id: Uuid) -> Result<(), DatabaseError> {
    sqlx::query("update webhooks set gone_at = coalesce(gone_at, clock_timestamp()) where id = $1")
        .bind(id)
        .execute(database.pool())
        .await?;
    Ok(())
}

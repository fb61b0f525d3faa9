//! Deliveries: one notification on one channel, and what became of it.

use kit::database::{Database, DatabaseError};
use kit::outbox::{Delivery, DeliveryError, Event, Outcome, replay};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

use super::MAX_PAGE;

/// What an event of ours says: the rest is in the tables.
#[derive(Debug, Serialize, Deserialize)]
pub struct Named {
    /// Which delivery.
    pub delivery: Uuid,
}

/// The delivery that an event is about.
pub fn named_by(event: &Event) -> Result<Uuid, DeliveryError> {
    Named::deserialize(&event.payload)
        .map(|named| named.delivery)
        .map_err(|_| DeliveryError::Permanent("the event names no delivery".to_owned()))
}

/// A mail to send.
#[derive(Debug, FromRow)]
pub struct Mail {
    /// For the mail's id.
    pub delivery: Uuid,
    /// To whom.
    pub address: String,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub body: String,
    /// The same in HTML.
    pub html: Option<String>,
}

/// The mail of a delivery; none if it is no longer wanted.
pub async fn mail(database: &Database, delivery: Uuid) -> Result<Option<Mail>, DatabaseError> {
    let mail = sqlx::query_as(
        "select d.id as delivery, d.address, n.subject, n.body, n.html from deliveries d \
         join notifications n on n.id = d.notification \
         where d.id = $1 and d.address is not null and d.state in ('queued', 'retrying')",
    )
    .bind(delivery)
    .fetch_optional(database.pool())
    .await?;
    Ok(mail)
}

/// Notes what became of a try, in the relay's transaction.
pub async fn note(
    connection: &mut PgConnection,
    delivery: &Delivery,
    outcome: &Outcome,
) -> Result<(), DatabaseError> {
    let (state, reason) = match outcome {
        Outcome::Delivered => ("sent", None),
        Outcome::Postponed(reason) => ("retrying", Some(reason)),
        Outcome::Rejected(reason) => ("rejected", Some(reason)),
        Outcome::Exhausted(reason) => ("dead", Some(reason)),
    };
    let Ok(id) = named_by(&delivery.event) else {
        return Ok(());
    };
    sqlx::query(
        "update deliveries set state = $2, reason = left($3, 500), attempts = $4, \
         updated_at = clock_timestamp() where id = $1",
    )
    .bind(id)
    .bind(state)
    .bind(reason)
    .bind(delivery.attempt.cast_signed())
    .execute(connection)
    .await?;
    Ok(())
}

/// A delivery that is not tried any more.
#[derive(Debug, Serialize, FromRow)]
pub struct DeadLetter {
    /// Which delivery.
    pub id: Uuid,
    /// Of which notification.
    pub notification: Uuid,
    /// For whom.
    pub user_id: String,
    /// On which channel.
    pub channel: String,
    /// `rejected` or `dead`.
    pub state: String,
    /// Tries.
    pub attempts: i32,
    /// What the last one ended with.
    pub reason: Option<String>,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// The dead letters before a moment, the latest first.
pub async fn dead_letters(
    database: &Database,
    before: Option<OffsetDateTime>,
    limit: i64,
) -> Result<Vec<DeadLetter>, DatabaseError> {
    let letters = sqlx::query_as(
        "select d.id, d.notification, n.user_id, d.channel, d.state, d.attempts, d.reason, \
         d.updated_at from deliveries d join notifications n on n.id = d.notification \
         where d.state in ('rejected', 'dead') and ($1::timestamptz is null or d.updated_at < $1) \
         order by d.updated_at desc, d.id desc limit $2",
    )
    .bind(before)
    .bind(limit.clamp(1, MAX_PAGE))
    .fetch_all(database.pool())
    .await?;
    Ok(letters)
}

/// What became of a wish to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    /// It is queued as if it were new.
    Queued,
    /// There is no such delivery.
    Unknown,
    /// It is no dead letter, or its event is no longer kept.
    NotDead,
}

/// Queues a dead letter again.
pub async fn replay_one(database: &Database, id: Uuid) -> Result<Replayed, DatabaseError> {
    let mut transaction = database.begin().await?;
    let row: Option<(String, Option<Uuid>)> =
        sqlx::query_as("select channel, event from deliveries where id = $1 for update")
            .bind(id)
            .fetch_optional(&mut *transaction)
            .await?;
    let (consumer, event) = match row {
        None => return Ok(Replayed::Unknown),
        Some((_, None)) => return Ok(Replayed::NotDead),
        // Consumers have the names of their channels.
        Some((channel, Some(event))) => (channel, event),
    };
    if !replay(database, &mut transaction, &consumer, event).await? {
        return Ok(Replayed::NotDead);
    }
    sqlx::query(
        "update deliveries set state = 'queued', attempts = 0, updated_at = clock_timestamp() \
         where id = $1",
    )
    .bind(id)
    .execute(&mut *transaction)
    .await?;
    kit::database::commit(transaction).await?;
    Ok(Replayed::Queued)
}

//! Events that are told if and only if what they tell of was committed.
//!
//! [`emit`] writes an event in the caller's transaction, with one delivery per
//! consumer that is subscribed to its topic. A [`Relay`] in any instance
//! delivers it at least once and, per consumer and key, in the order in which
//! the transactions were committed. What does not succeed is tried again with
//! back-off and is then a dead letter: it lets later events of its key pass, is
//! kept, shown ([`dead_letters`]) and can be sent again ([`replay`]).
//!
//! A consumer applies an event once by noting its id in the transaction of its
//! effect ([`first_time`]), here or in its own database.

mod consumer;
mod dead_letters;
mod gauges;
#[cfg(feature = "nats")]
mod jetstream;
mod queue;
pub(crate) use queue::shortened;
mod relay;

use serde::Serialize;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::database::{Database, DatabaseError, channel, commit};

pub use consumer::{
    Consumer, Delivery, DeliveryError, Outcome, Transactional, TransactionalConsumer,
};
pub use dead_letters::{Backlog, DeadLetter, MAX_PAGE, backlog, dead_letters, replay, sweep};
pub use gauges::Gauges;
#[cfg(feature = "nats")]
pub use jetstream::{JetStream, JetStreamError, JetStreamSettings};
pub use relay::{Relay, RelaySettings};

/// The purpose of the channel that wakes relays.
const CHANNEL: &str = "outbox";

/// An event is a fact with its key data, not a document store.
const MAX_PAYLOAD_BYTES: usize = 256 * 1024;
/// Topics and keys stand in indexes.
const MAX_NAME_LENGTH: usize = 200;

/// Something that has happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Names it for good; consumers deduplicate by it.
    pub id: Uuid,
    /// What kind of thing.
    pub topic: String,
    /// Events with the same key are delivered in order.
    pub key: String,
    /// What happened.
    pub payload: serde_json::Value,
    /// When.
    pub emitted_at: OffsetDateTime,
}

/// Why an event was not written. The transaction is of no more use.
#[derive(Debug, thiserror::Error)]
pub enum EmitError {
    /// It is no JSON.
    #[error("the payload of an event of topic {topic} cannot be written as JSON")]
    Payload {
        /// The event's topic.
        topic: &'static str,
        /// Why not.
        source: serde_json::Error,
    },
    /// It is too large, or its key is.
    #[error(
        "an event of topic {topic} is too large: {MAX_PAYLOAD_BYTES} bytes of payload and {MAX_NAME_LENGTH} of key are the limit; store the document and send its id"
    )]
    TooLarge {
        /// The event's topic.
        topic: &'static str,
    },
    /// The database did not do it.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Held until the transaction ends, so that writers of one key take their
/// numbers in the order of their commits.
const LOCK_KEY: &str = "select pg_advisory_xact_lock(hashtextextended('kit:outbox:' || $1, 0))";

/// An event without a subscribed consumer is not stored.
const EMIT: &str = "with wanted as ( \
       select consumer from outbox_subscriptions where topic = $2 \
     ), written as ( \
       insert into outbox_events (event, topic, key, payload) \
       select $1, $2, $3, $4 where exists (select from wanted) returning id \
     ), queued as ( \
       insert into outbox_deliveries (consumer, event, key) \
       select wanted.consumer, written.id, $3 from wanted, written returning 1 \
     ) select pg_notify($5, '') from written";

/// Writes an event in the transaction of `connection`; its id.
///
/// Writers of one key wait for each other until their transactions end. Emit
/// last, and several keys always in the same order.
pub async fn emit(
    database: &Database,
    connection: &mut PgConnection,
    topic: &'static str,
    key: &str,
    payload: &impl Serialize,
) -> Result<Uuid, EmitError> {
    let payload =
        serde_json::to_string(payload).map_err(|source| EmitError::Payload { topic, source })?;
    if payload.len() > MAX_PAYLOAD_BYTES || key.len().max(topic.len()) > MAX_NAME_LENGTH {
        return Err(EmitError::TooLarge { topic });
    }
    let payload = serde_json::value::RawValue::from_string(payload)
        .map_err(|source| EmitError::Payload { topic, source })?;
    let event = Uuid::new_v4();
    sqlx::query(LOCK_KEY)
        .bind(key)
        .execute(&mut *connection)
        .await
        .map_err(DatabaseError::from)?;
    sqlx::query(EMIT)
        .bind(event)
        .bind(topic)
        .bind(key)
        .bind(sqlx::types::Json(&*payload))
        .bind(channel(database, CHANNEL))
        .execute(&mut *connection)
        .await
        .map_err(DatabaseError::from)?;
    Ok(event)
}

/// Makes `topics` the topics of a consumer. It gets the events that are written
/// from now on; of topics that it no longer has, it still gets what is waiting.
pub async fn subscribe(
    database: &Database,
    consumer: &str,
    topics: &[&str],
) -> Result<(), DatabaseError> {
    let mut transaction = database.begin().await?;
    sqlx::query(
        "insert into outbox_subscriptions (consumer, topic) select $1, unnest($2::text[]) \
         on conflict do nothing",
    )
    .bind(consumer)
    .bind(topics)
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "delete from outbox_subscriptions where consumer = $1 and topic <> all($2::text[])",
    )
    .bind(consumer)
    .bind(topics)
    .execute(&mut *transaction)
    .await?;
    commit(transaction).await
}

/// Notes in the transaction of `connection` that `consumer` has had this event;
/// false if it already has. Two at once: the second waits for the first.
pub async fn first_time(
    connection: &mut PgConnection,
    consumer: &str,
    event: Uuid,
) -> Result<bool, sqlx::Error> {
    let noted =
        sqlx::query("insert into inbox (consumer, event) values ($1, $2) on conflict do nothing")
            .bind(consumer)
            .bind(event)
            .execute(connection)
            .await?;
    Ok(noted.rows_affected() == 1)
}

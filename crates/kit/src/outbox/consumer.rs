//! Who is told.

use async_trait::async_trait;
use sqlx::PgConnection;

use super::{Event, first_time};
use crate::database::{Database, DatabaseError, commit};

/// Why an event was not taken. The reason is kept and shown: no secrets in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryError {
    /// Perhaps later.
    Transient(String),
    /// Never: it is a dead letter at once.
    Permanent(String),
}

impl From<DatabaseError> for DeliveryError {
    /// Whatever it was, it may be better later; what is not ends as a dead letter.
    fn from(error: DatabaseError) -> Self {
        Self::Transient(error.to_string())
    }
}

/// An event on its way to a consumer.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// What is told.
    pub event: Event,
    /// The how manieth try this is, from 1.
    pub attempt: u32,
}

/// What became of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The consumer has it.
    Delivered,
    /// It is tried again.
    Postponed(String),
    /// The consumer will never take it: a dead letter.
    Rejected(String),
    /// That was the last try: a dead letter.
    Exhausted(String),
}

/// Takes events at least once. It may get one twice: when a relay dies, or
/// loses its lease, between the consumer's work and the note of it.
#[async_trait]
pub trait Consumer: Send + Sync + 'static {
    /// Its name, for good: deliveries are queued under it.
    fn name(&self) -> &'static str;

    /// What it wants to hear of.
    fn topics(&self) -> &'static [&'static str];

    /// Takes one event. Dropped, when it takes longer than the relay allows.
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError>;

    /// Notes what became of a try, in the transaction in which the relay notes
    /// it: for consumers that keep a record of their own.
    async fn note(
        &self,
        _connection: &mut PgConnection,
        _delivery: &Delivery,
        _outcome: &Outcome,
    ) -> Result<(), DatabaseError> {
        Ok(())
    }
}

/// A consumer whose whole effect is in a PostgreSQL database that has the kit's
/// inbox: it happens exactly once.
#[async_trait]
pub trait TransactionalConsumer: Send + Sync + 'static {
    /// Its name, for good.
    fn name(&self) -> &'static str;

    /// What it wants to hear of.
    fn topics(&self) -> &'static [&'static str];

    /// Applies one event in the transaction of `connection`.
    async fn apply(
        &self,
        connection: &mut PgConnection,
        event: &Event,
    ) -> Result<(), DeliveryError>;
}

/// Makes a consumer of one whose effect is in `database`.
#[derive(Debug)]
pub struct Transactional<C> {
    database: Database,
    consumer: C,
}

impl<C: TransactionalConsumer> Transactional<C> {
    /// `database` may be another one than the outbox's.
    pub fn new(database: Database, consumer: C) -> Self {
        Self { database, consumer }
    }
}

#[async_trait]
impl<C: TransactionalConsumer> Consumer for Transactional<C> {
    fn name(&self) -> &'static str {
        self.consumer.name()
    }

    fn topics(&self) -> &'static [&'static str] {
        self.consumer.topics()
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        let mut transaction = self.database.begin().await?;
        let is_new = first_time(&mut transaction, self.name(), delivery.event.id)
            .await
            .map_err(DatabaseError::from)?;
        if !is_new {
            return Ok(());
        }
        self.consumer
            .apply(&mut transaction, &delivery.event)
            .await?;
        Ok(commit(transaction).await?)
    }
}

//! Delivers what is waiting. Any number of relays may work at once, in one
//! process or in many.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, error, warn};

use super::queue::{self, LeaseState, Leased};
use super::{CHANNEL, Consumer, DeliveryError, Outcome, subscribe};
use crate::backoff::Backoff;
use crate::database::{Database, DatabaseError, Notices, Receiver, commit};

/// How a relay works. The bounds hold per consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelaySettings {
    /// So many deliveries at once; those of one key come one after the other.
    pub concurrency: usize,
    /// How long one delivery may take before it counts as failed.
    pub delivery_timeout: Duration,
    /// How often to look without a notification.
    pub poll_interval: Duration,
    /// The waits between tries, and how many there are.
    pub backoff: Backoff,
}

impl Default for RelaySettings {
    fn default() -> Self {
        Self {
            concurrency: 8,
            delivery_timeout: Duration::from_secs(30),
            poll_interval: Duration::from_secs(1),
            // About two hours in all.
            backoff: Backoff {
                first: Duration::from_secs(1),
                longest: Duration::from_mins(10),
                attempts: 20,
            },
        }
    }
}

/// A lease outlives its delivery by this much: time to note what became of it,
/// and for clocks that do not run alike.
const LEASE_MARGIN: Duration = Duration::from_secs(10);

/// Delivers the events of one outbox to consumers.
pub struct Relay {
    database: Database,
    notices: Notices,
    settings: RelaySettings,
    consumers: Vec<Arc<dyn Consumer>>,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let consumers: Vec<_> = self.consumers.iter().map(|c| c.name()).collect();
        f.debug_struct("Relay")
            .field("consumers", &consumers)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Relay {
    /// For the outbox of a database.
    pub fn new(database: Database, settings: RelaySettings) -> Self {
        let notices = Notices::listen(&database, CHANNEL);
        Self {
            database,
            notices,
            settings,
            consumers: Vec::new(),
        }
    }

    /// Adds a consumer and subscribes it. Do this before anything is emitted
    /// that it must not miss.
    pub async fn with(mut self, consumer: impl Consumer) -> Result<Self, DatabaseError> {
        subscribe(&self.database, consumer.name(), consumer.topics()).await?;
        self.consumers.push(Arc::new(consumer));
        Ok(self)
    }

    /// Delivers until `stop` ends, and then ends what is under way: that takes
    /// at most the delivery timeout. Dropped earlier, what was under way is
    /// delivered again when its lease has ended.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let (told, stopped) = watch::channel(false);
        let mut lanes = JoinSet::new();
        for consumer in self.consumers {
            let lane = ConsumerQueue {
                database: self.database.clone(),
                settings: self.settings,
                consumer,
            };
            lanes.spawn(lane.run(self.notices.subscribe(), stopped.clone()));
        }
        stop.await;
        told.send_replace(true);
        while let Some(ended) = lanes.join_next().await {
            if let Err(error) = ended {
                error!(%error, "a relay ended badly");
            }
        }
    }
}

/// The queue of one consumer.
#[derive(Clone)]
struct ConsumerQueue {
    database: Database,
    settings: RelaySettings,
    consumer: Arc<dyn Consumer>,
}

impl ConsumerQueue {
    async fn run(self, mut notices: Receiver, mut stopped: watch::Receiver<bool>) {
        let mut under_way = JoinSet::new();
        let consumer = self.consumer.name();
        loop {
            // What is told from here on is looked at in the next round.
            notices.clear();
            let room = self.settings.concurrency.max(1) - under_way.len();
            let mut is_full = room == 0;
            if !is_full {
                match self.lease(room).await {
                    Ok(leased) => {
                        is_full = leased.len() == room;
                        for one in leased {
                            under_way.spawn(self.clone().deliver(one, stopped.clone()));
                        }
                    }
                    Err(error) => warn!(%error, consumer, "cannot look for events"),
                }
            }
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => break,
                Some(ended) = under_way.join_next() => said(consumer, ended),
                _ = notices.next(), if !is_full => {}
                () = tokio::time::sleep(self.settings.poll_interval), if !is_full => {}
            }
        }
        while let Some(ended) = under_way.join_next().await {
            said(consumer, ended);
        }
    }

    async fn lease(&self, room: usize) -> Result<Vec<Leased>, DatabaseError> {
        let duration = self.lease_duration();
        queue::lease(&self.database, self.consumer.name(), room, duration).await
    }

    fn lease_duration(&self) -> Duration {
        self.settings.delivery_timeout + LEASE_MARGIN
    }

    async fn deliver(self, leased: Leased, stopped: watch::Receiver<bool>) {
        let outcome = self.outcome_of(&leased).await;
        let (consumer, event) = (self.consumer.name(), leased.delivery.event.id);
        match self.note_patiently(&leased, &outcome, stopped).await {
            Ok(LeaseState::Held) => match &outcome {
                Outcome::Delivered => debug!(consumer, %event, "delivered"),
                // The reason may quote what was delivered: it stays in the table.
                Outcome::Postponed(_) => warn!(consumer, %event, "not delivered yet"),
                Outcome::Rejected(_) => warn!(consumer, %event, "rejected: a dead letter"),
                Outcome::Exhausted(_) => error!(consumer, %event, "given up: a dead letter"),
            },
            Ok(LeaseState::Lost) => warn!(consumer, %event, "another relay has taken it over"),
            // It is delivered again when the lease has ended.
            Err(error) => warn!(%error, consumer, %event, "cannot note a delivery"),
        }
    }

    async fn outcome_of(&self, leased: &Leased) -> Outcome {
        let attempt = leased.delivery.attempt;
        if attempt > self.settings.backoff.attempts {
            return Outcome::Exhausted(
                "nobody lived to tell what became of the last tries".to_owned(),
            );
        }
        let work = self.consumer.deliver(&leased.delivery);
        let refusal = match tokio::time::timeout(self.settings.delivery_timeout, work).await {
            Ok(Ok(())) => return Outcome::Delivered,
            Ok(Err(refusal)) => refusal,
            Err(_) => DeliveryError::Transient("it took too long".to_owned()),
        };
        match refusal {
            DeliveryError::Permanent(reason) => Outcome::Rejected(reason),
            DeliveryError::Transient(reason) if self.settings.backoff.after(attempt).is_none() => {
                Outcome::Exhausted(reason)
            }
            DeliveryError::Transient(reason) => Outcome::Postponed(reason),
        }
    }

    /// While the database is away, notes again, for as long as a lease lasts: it
    /// would otherwise keep everybody from what was under way long after the
    /// database is back. Noted twice changes nothing: the lease is over then.
    async fn note_patiently(
        &self,
        leased: &Leased,
        outcome: &Outcome,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<LeaseState, DatabaseError> {
        let end = Instant::now() + self.lease_duration();
        loop {
            match self.note(leased, outcome).await {
                Err(error) if Instant::now() < end && !*stopped.borrow() => {
                    debug!(%error, consumer = self.consumer.name(), "a delivery is noted again");
                    tokio::select! {
                        _ = stopped.wait_for(|stop| *stop) => {}
                        () = tokio::time::sleep(self.settings.poll_interval) => {}
                    }
                }
                noted => return noted,
            }
        }
    }

    async fn note(&self, leased: &Leased, outcome: &Outcome) -> Result<LeaseState, DatabaseError> {
        let consumer = self.consumer.name();
        let mut transaction = self.database.begin().await?;
        let noted = match outcome {
            Outcome::Delivered => leased.delivered(&mut transaction, consumer).await?,
            Outcome::Postponed(reason) => {
                let wait = self.settings.backoff.after(leased.delivery.attempt);
                let wait = wait.unwrap_or(self.settings.backoff.longest);
                let note = leased.postponed(&mut transaction, consumer, reason, wait);
                note.await?
            }
            Outcome::Rejected(reason) | Outcome::Exhausted(reason) => {
                leased.dead(&mut transaction, consumer, reason).await?
            }
        };
        if noted == LeaseState::Held {
            let delivery = &leased.delivery;
            self.consumer
                .note(&mut transaction, delivery, outcome)
                .await?;
            commit(transaction).await?;
        }
        Ok(noted)
    }
}

/// A consumer that panicked keeps its lease until it ends, and has used a try.
fn said(consumer: &str, ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        error!(%error, consumer, "a delivery ended badly");
    }
}

//! How the outbox stands, for Prometheus.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;

use super::backlog;
use crate::database::Database;
use crate::metrics::Metrics;
use crate::service::{Fault, Stopping};

/// It is a count over a table that is short while all is well.
const INTERVAL: Duration = Duration::from_secs(10);

/// Three gauges.
#[derive(Debug, Clone, Default)]
pub struct Gauges {
    waiting: Gauge,
    dead: Gauge,
    oldest: Gauge<f64, AtomicU64>,
}

impl Gauges {
    /// Adds them to a service's metrics.
    pub fn register(metrics: &Metrics) -> Self {
        let gauges = Self::default();
        let (waiting, dead) = (gauges.waiting.clone(), gauges.dead.clone());
        metrics.register("outbox_waiting", "Deliveries that are not done", waiting);
        metrics.register("outbox_dead_letters", "Deliveries that were given up", dead);
        metrics.register(
            "outbox_oldest_seconds",
            "Age of the oldest event that is not delivered",
            gauges.oldest.clone(),
        );
        gauges
    }

    /// Keeps them true until the service stops.
    pub async fn keep(self, database: Database, stopping: Stopping) -> Result<(), Fault> {
        loop {
            // While the database is away, the last ones stand.
            if let Ok(now) = backlog(&database).await {
                self.waiting.set(now.waiting);
                self.dead.set(now.dead);
                self.oldest.set(now.oldest_seconds);
            }
            tokio::select! {
                () = stopping.told() => return Ok(()),
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
    }
}

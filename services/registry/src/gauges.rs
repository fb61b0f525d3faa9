//! How many there are, for Prometheus.

use std::time::Duration;

use kit::Stopping;
use kit::database::Database;
use kit::metrics::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::health::State;
use crate::store::{external, instances};

/// They are counts over tables that are short.
const INTERVAL: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

/// Instances, and external services by state.
#[derive(Debug, Clone, Default)]
pub struct Gauges {
    instances: Gauge,
    external: Family<StateLabel, Gauge>,
}

impl Gauges {
    /// Adds them to a service's metrics.
    pub fn register(metrics: &Metrics) -> Self {
        let gauges = Self::default();
        let help = "Instances of services that are registered";
        metrics.register("registry_instances", help, gauges.instances.clone());
        let help = "External services by how they are";
        metrics.register("external_services", help, gauges.external.clone());
        gauges
    }

    /// Keeps them true until the service stops.
    pub async fn keep(self, database: Database, stopping: Stopping) -> anyhow::Result<()> {
        loop {
            // While the database is away, the last ones stand.
            if let Ok(count) = instances::count(&database).await {
                self.instances.set(count);
            }
            if let Ok(counts) = external::counts(&database).await {
                for state in State::ALL {
                    let count = counts.iter().find(|(one, _)| *one == state);
                    let label = StateLabel {
                        state: state.name(),
                    };
                    let gauge = self.external.get_or_create_owned(&label);
                    gauge.set(count.map_or(0, |(_, count)| *count));
                }
            }
            tokio::select! {
                () = stopping.told() => return Ok(()),
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
    }
}

//! Who owns, and how far the traffic has shifted, read when it is asked for.
//! Label values come from the plan.

use crate::{routing::snapshot::RoutingState, state::config::Config};
use arc_swap::ArcSwap;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Registry,
};
use protocol::Side;
use std::{fmt, sync::Arc};

/// Of the extractions of the plan in use.
struct RoutingStates(Arc<ArcSwap<Config>>);

impl fmt::Debug for RoutingStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoutingStates")
    }
}

/// Registers the metrics.
pub(crate) fn register(current: &Arc<ArcSwap<Config>>, registry: &mut Registry) {
    registry.register_collector(Box::new(RoutingStates(Arc::clone(current))));
}

impl Collector for RoutingStates {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let config = self.0.load();
        let snapshot = config.state.snapshot.load();
        let routing_states: Vec<(&str, RoutingState)> = config
            .table
            .all()
            .map(|(extraction, entry)| (entry.name.as_str(), snapshot.routing_state(extraction)))
            .collect();
        let help = "1 at the side that may write; at neither while that is not known";
        let mut owner = encoder.encode_descriptor("banyan_owner", help, None, MetricType::Gauge)?;
        for (name, routing_state) in &routing_states {
            // Shared data have no owner.
            if matches!(routing_state, RoutingState::SharedData { .. }) {
                continue;
            }
            for side in [Side::Monolith, Side::Service] {
                let owns = routing_state
                    .decided()
                    .is_some_and(|(owner, ..)| owner == side);
                let labels = [("extraction", *name), ("side", side.as_str())];
                ConstGauge::new(i64::from(owns)).encode(owner.encode_family(&labels)?)?;
            }
        }
        let help = "Share of the clients whose reads go to the service, 0 to 1";
        let mut reads =
            encoder.encode_descriptor("banyan_reads_share", help, None, MetricType::Gauge)?;
        for (name, routing_state) in &routing_states {
            let Some(routing) = routing_state.routing() else {
                continue;
            };
            let share = routing.reads.fraction();
            ConstGauge::new(share).encode(reads.encode_family(&[("extraction", *name)])?)?;
        }
        Ok(())
    }
}

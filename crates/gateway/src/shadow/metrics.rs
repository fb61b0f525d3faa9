//! What Prometheus sees of copies. Routes are the plan's.

use super::ledger::{Copied, Outcome};
use plan::ServiceName;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    service: String,
    route: String,
    outcome: &'static str,
}

/// Counts copies by how they ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct ShadowMetrics {
    comparisons: Family<Labels, Counter>,
    writes: Family<Labels, Counter>,
}

impl ShadowMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let it = self.clone();
        registry.register(
            "banyan_shadow_comparisons",
            "Reads that were asked of both sides beside their client",
            it.comparisons,
        );
        registry.register(
            "banyan_shadow_writes",
            "Writes that were copied to the scratch upstream",
            it.writes,
        );
    }

    pub(crate) fn compared(&self, service: &ServiceName, route: &str, outcome: Outcome) {
        count(&self.comparisons, service, route, outcome.as_str());
    }

    pub(crate) fn copied(&self, service: &ServiceName, route: &str, copied: Copied) {
        count(&self.writes, service, route, copied.as_str());
    }
}

fn count(
    family: &Family<Labels, Counter>,
    service: &ServiceName,
    route: &str,
    outcome: &'static str,
) {
    let labels = Labels {
        service: service.to_string(),
        route: route.to_owned(),
        outcome,
    };
    family.get_or_create(&labels).inc();
}

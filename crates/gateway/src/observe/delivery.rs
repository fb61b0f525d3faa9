//! How many log lines or spans were written, and how many were lost.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// Counts what was written and what was lost.
#[derive(Debug, Clone)]
pub(crate) struct DeliveryCounts {
    family: Family<OutcomeLabel, Counter>,
    pub(crate) told: Counter,
    pub(crate) lost: Counter,
}

impl Default for DeliveryCounts {
    fn default() -> Self {
        let family = Family::<OutcomeLabel, Counter>::default();
        let outcome = |outcome| family.get_or_create_owned(&OutcomeLabel { outcome });
        let (told, lost) = (outcome("told"), outcome("lost"));
        Self { family, told, lost }
    }
}

impl DeliveryCounts {
    pub(crate) fn register(&self, registry: &mut Registry, name: &str, help: &str) {
        registry.register(name, help, self.family.clone());
    }
}

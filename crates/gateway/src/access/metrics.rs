//! What Prometheus sees of who was let in.

use super::limits::LimitVerdict;
use crate::base::denial::Denial;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// Counts who was let in and who was not.
#[derive(Debug, Clone)]
pub(crate) struct AccessMetrics {
    refused: Family<ReasonLabel, Counter>,
    limits: Family<OutcomeLabel, Counter>,
    /// The one that every limited request needs, at hand.
    room: Counter,
}

impl AccessMetrics {
    pub(crate) fn new() -> Self {
        let limits = Family::<OutcomeLabel, Counter>::default();
        let room = limits.get_or_create_owned(&OutcomeLabel { outcome: "room" });
        Self {
            refused: Family::default(),
            limits,
            room,
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let it = self.clone();
        registry.register(
            "banyan_access_refused",
            "Requests that were not let in",
            it.refused,
        );
        registry.register(
            "banyan_rate_limit",
            "Requests that were counted, or could not be",
            it.limits,
        );
    }

    pub(crate) fn refused(&self, denial: Denial) {
        let reason = denial.reason();
        self.refused.get_or_create(&ReasonLabel { reason }).inc();
    }

    pub(crate) fn limited(&self, verdict: LimitVerdict) {
        let outcome = match verdict {
            LimitVerdict::Within => {
                self.room.inc();
                return;
            }
            LimitVerdict::Full(_) => "full",
            LimitVerdict::Unknown => "unknown-passed",
            LimitVerdict::Refuse => "unknown-refused",
        };
        self.limits.get_or_create(&OutcomeLabel { outcome }).inc();
    }
}

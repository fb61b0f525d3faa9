//! What Prometheus sees. Label values come from fixed sets or from the plan,
//! never from a request.

use super::{
    histogram::SharedTimes,
    labels::{class, code_label, elsewhere},
};
use crate::{
    base::{malformed::Malformed, refusal::Refusal},
    transport::http1::policy::MessagePart,
};
use http::StatusCode;
use plan::ServiceName;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    service: String,
    route: String,
    method: &'static str,
    status: &'static str,
    code: u16,
    side: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TimeLabels {
    service: String,
    route: String,
    method: &'static str,
    side: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabel {
    service: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// All metrics of a gateway.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    requests: Family<RequestLabels, Counter>,
    times: Family<TimeLabels, SharedTimes>,
    held: Family<ServiceLabel, Gauge>,
    holds: Family<ServiceLabel, SharedTimes>,
    fallbacks: Family<ServiceLabel, Counter>,
    pin_waits: Family<OutcomeLabel, Counter>,
    pin_waiting: Gauge,
    refused: Family<ReasonLabel, Counter>,
    malformed: Family<ReasonLabel, Counter>,
    /// Bytes of bodies in files.
    pub(crate) spooled_bytes: Gauge,
}

impl Metrics {
    /// With native histograms of requests' times, or without.
    pub(crate) fn new(native: bool) -> Self {
        let times: fn() -> SharedTimes = if native {
            SharedTimes::with_native
        } else {
            SharedTimes::default
        };
        Self {
            times: Family::new_with_constructor(times),
            ..Self::default()
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let it = self.clone();
        registry.register(
            "http_requests",
            "Requests answered; those with code 499 their client gave up",
            it.requests,
        );
        registry.register(
            "http_request_duration_seconds",
            "Time from the head of a request to the head of its answer, or until its client gave up",
            it.times,
        );
        registry.register("banyan_held_requests", "Requests held now", it.held);
        registry.register(
            "banyan_hold_seconds",
            "Time that released requests were held",
            it.holds,
        );
        registry.register(
            "banyan_fallbacks",
            "Reads sent to the owner because the other side failed",
            it.fallbacks,
        );
        registry.register(
            "banyan_pin_waits",
            "Requests that waited for their client's own write",
            it.pin_waits,
        );
        registry.register(
            "banyan_pin_waiting",
            "Requests that wait for their client's own write now",
            it.pin_waiting,
        );
        registry.register(
            "banyan_spooled_bytes",
            "Bytes of request bodies in files, until they are sent",
            it.spooled_bytes,
        );
        registry.register(
            "banyan_refused",
            "Requests answered by the gateway itself",
            it.refused,
        );
        registry.register(
            "banyan_malformed",
            "Messages that were not taken for requests",
            it.malformed,
        );
    }

    /// The part that the holds of a service keep.
    pub(crate) fn hold(&self, service: &ServiceName) -> HoldMetrics {
        let label = ServiceLabel {
            service: service.to_string(),
        };
        HoldMetrics {
            held: self.held.get_or_create_owned(&label),
            times: self.holds.get_or_create_owned(&label),
        }
    }

    pub(crate) fn fallback(&self, service: &ServiceName) {
        self.fallbacks
            .get_or_create(&ServiceLabel {
                service: service.to_string(),
            })
            .inc();
    }

    /// A request waits for its client's own write until what this returns is
    /// dropped.
    pub(crate) fn pin_waiting(&self) -> Waiting<'_> {
        self.pin_waiting.inc();
        Waiting(&self.pin_waiting)
    }

    pub(crate) fn pin_waited(&self, outcome: &'static str) {
        self.pin_waits
            .get_or_create(&OutcomeLabel { outcome })
            .inc();
    }

    /// A message was not taken for a request.
    pub(crate) fn malformed(&self, why: Malformed) {
        let reason = why.reason();
        self.malformed.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Counts messages over HTTP/1 that were none.
    pub(crate) fn counts_malformed(
        self,
    ) -> impl Fn(MessagePart, Malformed) + Send + Sync + 'static {
        move |part, why| {
            self.malformed(why);
            // A body's request is counted when it ends.
            if part == MessagePart::Head {
                self.unread("other", why.status());
            }
        }
    }

    /// A request was answered before its head could be read.
    pub(crate) fn unread(&self, method: &'static str, code: StatusCode) {
        let (service, route) = elsewhere();
        let code = code_label(code);
        let labels = RequestLabels {
            service,
            route,
            method,
            status: class(code),
            code,
            side: "none",
        };
        self.requests.get_or_create(&labels).inc();
    }

    /// What counts the requests of one kind.
    pub(crate) fn request_handles(
        &self,
        (service, route): (String, String),
        method: &'static str,
        code: u16,
        side: &'static str,
    ) -> (Counter, SharedTimes) {
        let times = TimeLabels {
            service: service.clone(),
            route: route.clone(),
            method,
            side,
        };
        let requests = RequestLabels {
            service,
            route,
            method,
            status: class(code),
            code,
            side,
        };
        (
            self.requests.get_or_create_owned(&requests),
            self.times.get_or_create_owned(&times),
        )
    }

    pub(crate) fn refused(&self, refusal: Refusal) {
        self.refused
            .get_or_create(&ReasonLabel {
                reason: refusal.reason(),
            })
            .inc();
    }
}

/// Counts one that waits, also where it is given up in the middle.
pub(crate) struct Waiting<'a>(&'a Gauge);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The metrics of an extraction's holds.
#[derive(Debug, Default)]
pub(crate) struct HoldMetrics {
    pub(crate) held: Gauge,
    pub(crate) times: SharedTimes,
}

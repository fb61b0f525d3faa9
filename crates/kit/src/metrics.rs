//! What Prometheus sees: the names and labels that the gateway uses, too.
//! No label comes from a request: methods are of a fixed set, routes are the
//! ones declared, codes are those we answer with.

mod process;

pub(crate) use process::Usage;

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

/// What no declared route has answered.
pub(crate) const OTHER: &str = "other";

/// Upper bounds in seconds, as the gateway has them.
const BOUNDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    service: &'static str,
    method: &'static str,
    route: String,
    status: &'static str,
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TimeLabels {
    service: &'static str,
    method: &'static str,
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabel {
    service: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InfoLabels {
    service: &'static str,
    version: &'static str,
}

/// All metrics of a service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    service: &'static str,
    registry: Arc<Mutex<Registry>>,
    requests: Family<RequestLabels, Counter>,
    times: Family<TimeLabels, Histogram>,
    in_flight: Gauge,
}

impl Metrics {
    pub(crate) fn new(identity: &crate::Identity) -> Self {
        let service = identity.name;
        let requests = Family::default();
        let times = Family::new_with_constructor(times as fn() -> Histogram);
        let in_flight = Family::<ServiceLabel, Gauge>::default();
        let info = Family::<InfoLabels, Gauge>::default();
        let version = identity.version;
        info.get_or_create(&InfoLabels { service, version }).set(1);
        let mut registry = Registry::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        registry.register(
            "http_request_duration_seconds",
            "Time from the head of a request to the head of its answer",
            times.clone(),
        );
        registry.register(
            "http_requests_in_flight",
            "Requests that have no answer yet",
            in_flight.clone(),
        );
        registry.register("service_info", "Which version runs", info);
        registry.register_collector(Box::new(process::Process));
        Self {
            service,
            registry: Arc::new(Mutex::new(registry)),
            requests,
            times,
            in_flight: in_flight.get_or_create_owned(&ServiceLabel { service }),
        }
    }

    /// Adds a metric of the service's own. Names and labels of it must not
    /// come from requests.
    pub fn register(&self, name: &str, help: &str, metric: impl Metric) {
        self.registry.lock().register(name, help, metric);
    }

    /// A request begins; it ends when what this returns is dropped.
    pub(crate) fn begun(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    pub(crate) fn answered(&self, method: &Method, route: &str, code: StatusCode, time: Duration) {
        let method = method_label(method);
        let service = self.service;
        let times = TimeLabels {
            service,
            method,
            route: route.to_owned(),
        };
        self.times.get_or_create(&times).observe(time.as_secs_f64());
        let requests = RequestLabels {
            service,
            method,
            route: route.to_owned(),
            status: class(code),
            code: code.as_u16(),
        };
        self.requests.get_or_create(&requests).inc();
    }

    /// The exposition (OpenMetrics text).
    pub(crate) fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry.lock())?;
        Ok(text)
    }
}

/// Counts one that is under way, also where it is given up in the middle.
#[derive(Debug)]
pub(crate) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn times() -> Histogram {
    Histogram::new(BOUNDS)
}

pub(crate) fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => OTHER,
    }
}

fn class(code: StatusCode) -> &'static str {
    match code.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => OTHER,
    }
}

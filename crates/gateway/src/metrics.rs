//! What Prometheus sees. Label values come from fixed sets or from the plan,
//! never from a request.

use crate::{
    answer::Refusal, guard::Malformed, hold::HoldMetrics, native::Native, setup::Setup,
    table::Place,
};
use http::{Method, StatusCode};
use plan::ServiceName;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, TypedMetric, counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use protocol::Side;
use std::{
    cell::RefCell,
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Upper bounds in seconds: Prometheus' own, with finer ones below for a
/// gateway in one network with its upstreams.
const BOUNDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// A histogram of times without a lock.
#[derive(Debug, Default)]
pub(crate) struct Times {
    counts: [AtomicU64; BOUNDS.len() + 1],
    sum_nanos: AtomicU64,
    native: Option<Native>,
}

/// A [`Times`] that many may hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedTimes(Arc<Times>);

impl SharedTimes {
    /// One that keeps native buckets, too.
    fn with_native() -> Self {
        Self(Arc::new(Times {
            native: Some(Native::default()),
            ..Times::default()
        }))
    }

    pub(crate) fn observe(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let bucket = BOUNDS
            .iter()
            .position(|bound| seconds <= *bound)
            .unwrap_or(BOUNDS.len());
        self.0.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
        if let Some(native) = &self.0.native {
            native.observe(time);
        }
    }
}

impl TypedMetric for SharedTimes {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for SharedTimes {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let bounds = BOUNDS.iter().copied().chain([f64::INFINITY]);
        let counts = self
            .0
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_nanos(self.0.sum_nanos.load(Ordering::Relaxed)).as_secs_f64();
        let Some(native) = self.0.native.as_ref().map(Native::snapshot) else {
            return encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None);
        };
        let (count, native) = (native.count, native.encoded());
        encoder.encode_histogram_with_native::<NoLabelSet>(sum, count, &buckets, None, native)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

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
        registry.register("http_requests", "Requests answered", it.requests);
        registry.register(
            "http_request_duration_seconds",
            "Time from the head of a request to the head of its answer",
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
            "banyan_refused",
            "Requests answered by the gateway itself",
            it.refused,
        );
        registry.register(
            "banyan_malformed",
            "HTTP/1 messages that were not taken for requests",
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

    pub(crate) fn malformed(&self, why: Malformed) {
        let reason = why.reason();
        self.malformed.get_or_create(&ReasonLabel { reason }).inc();
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

/// What is counted of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    pub(crate) place: Place,
    pub(crate) method: &'static str,
    pub(crate) code: u16,
    /// `None` where it was sent nowhere.
    pub(crate) side: Option<Side>,
}

/// A hash for [`Kind`]: there are few of them and none is of a client's making,
/// so that it need not be a strong one.
#[derive(Default)]
struct Folding(u64);

impl Hasher for Folding {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(u64::from(number));
    }

    fn write_u16(&mut self, number: u16) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        // An odd number without a pattern, as in FxHash.
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(u64::try_from(number).unwrap_or(u64::MAX));
    }
}

/// The metrics of requests, with the handles that one worker has used before:
/// no text is put together for a request of a kind that was seen.
pub(crate) struct Recorder {
    setup: Arc<Setup>,
    handles: RefCell<HashMap<Kind, (Counter, SharedTimes), BuildHasherDefault<Folding>>>,
}

impl Recorder {
    pub(crate) fn new(setup: Arc<Setup>) -> Self {
        Self {
            setup,
            handles: RefCell::default(),
        }
    }

    pub(crate) fn record(&self, kind: Kind, time: Duration) {
        let mut handles = self.handles.borrow_mut();
        let (requests, times) = handles.entry(kind).or_insert_with(|| self.handles_of(kind));
        requests.inc();
        times.observe(time);
    }

    fn handles_of(&self, kind: Kind) -> (Counter, SharedTimes) {
        let (service, route) = match kind.place {
            Place::Elsewhere => elsewhere(),
            Place::Route(found) => {
                let stay = self.setup.table.stay(found);
                (stay.route.to.to_string(), stay.route.name.clone())
            }
            Place::Extraction(found) => {
                let entry = self.setup.table.entry(found.extraction);
                (
                    entry.service.to_string(),
                    entry.routes[found.route].path.to_string(),
                )
            }
        };
        let side = kind.side.map_or("none", Side::as_str);
        let method = kind.method;
        let metrics = &self.setup.shared.metrics;
        let times = TimeLabels {
            service: service.clone(),
            route: route.clone(),
            method,
            side,
        };
        let status = class(kind.code);
        let requests = RequestLabels {
            service,
            route,
            method,
            status,
            code: kind.code,
            side,
        };
        (
            metrics.requests.get_or_create_owned(&requests),
            metrics.times.get_or_create_owned(&times),
        )
    }
}

/// The labels of what belongs to no route.
fn elsewhere() -> (String, String) {
    ("monolith".to_owned(), "other".to_owned())
}

/// A method as a label; from a bounded set.
pub(crate) fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// A status code as a label: those of no class are all one.
pub(crate) fn code_label(status: StatusCode) -> u16 {
    if class(status.as_u16()) == "other" {
        0
    } else {
        status.as_u16()
    }
}

fn class(code: u16) -> &'static str {
    match code / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => "other",
    }
}

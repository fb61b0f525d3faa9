//! Upstreams: where a side's requests go, and how patient the gateway is.
//!
//! Where the plan says nothing, an upstream has one instance, no breaker, no
//! repeats but those of connections that had been kept too long, and no cache.

mod file;
mod resolve;

pub(crate) use file::{RouteTimeoutsFile, TimeoutsFile, UpstreamFile};
pub(crate) use resolve::{ATTEMPTS_MAX, default_timeouts, plain, route_timeouts, upstream};

use crate::base::{ByteSize, DatabaseUrl, Percent, UpstreamUrl};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// The most instances of one upstream: the balancer marks those that it has
/// tried in one 64-bit word.
pub const INSTANCES_MAX: usize = 64;

/// An HTTP upstream and its database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Where requests go: its first instance.
    pub url: UpstreamUrl,
    /// Its further instances.
    pub further: Vec<UpstreamUrl>,
    /// What it speaks.
    pub protocol: Protocol,
    /// Where its data is; a direct connection, not a pooler. Extractions have
    /// theirs in `Replicate::databases`.
    pub database: Option<DatabaseUrl>,
    /// Active health checks.
    pub health: Option<HealthChecks>,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// When it is no longer asked for a while.
    pub breaker: Option<Breaker>,
    /// When a request is sent once more.
    pub retries: Retries,
    /// How one of several instances is chosen.
    pub balance: Balance,
    /// What is answered while nobody else can.
    pub degraded: Option<Degraded>,
    /// What becomes of a request's trailers.
    pub trailers: Trailers,
    /// Headers of its answers that clients do not get, in lower case.
    pub hide_headers: Vec<String>,
}

/// What becomes of the trailers of a request to an upstream that speaks HTTP/1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Trailers {
    /// They end here: servers that do not know them have taken them for the next
    /// request.
    #[default]
    Drop,
    /// They pass, but for those that only a head may have.
    Pass,
}

/// What an upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS, known beforehand.
    H2c,
}

/// Active health checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthChecks {
    /// Path that answers 200 when the upstream can work.
    pub path: String,
    /// Time between two checks of an instance.
    pub interval: Duration,
    /// How long a check may take.
    pub timeout: Duration,
    /// Checks in a row that make it healthy again.
    pub rise: u32,
    /// Checks in a row that make it unhealthy.
    pub fall: u32,
}

/// How long an upstream may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For the head of an answer, all tries together.
    pub first_byte: Duration,
    /// Between two parts of an answer's body.
    pub idle: Duration,
    /// The same of a stream of events or of gRPC, and how long an upgraded
    /// connection may be silent.
    pub stream: Duration,
    /// From the request to the end of its answer.
    pub whole: Option<Duration>,
}

/// What a route says of its own about times; the rest is as its upstream's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RouteTimeouts {
    /// For the next part of a request's body.
    pub body: Option<Duration>,
    /// For the head of an answer, all tries together.
    pub first_byte: Option<Duration>,
    /// Between two parts of an answer's body.
    pub idle: Option<Duration>,
    /// The same of a stream.
    pub stream: Option<Duration>,
    /// From the request to the end of its answer.
    pub whole: Option<Duration>,
}

impl RouteTimeouts {
    /// A route that says nothing.
    pub const NONE: Self = Self {
        body: None,
        first_byte: None,
        idle: None,
        stream: None,
        whole: None,
    };

    /// Those of an upstream, as far as the route says nothing else.
    #[must_use]
    pub fn over(&self, general: Timeouts) -> Timeouts {
        Timeouts {
            connect: general.connect,
            first_byte: self.first_byte.unwrap_or(general.first_byte),
            idle: self.idle.unwrap_or(general.idle),
            stream: self.stream.unwrap_or(general.stream),
            whole: self.whole.or(general.whole),
        }
    }
}

/// When an upstream is no longer asked for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    /// Share of failed requests that opens it.
    pub errors: Percent,
    /// Slow requests that open it.
    pub slow: Option<SlowCalls>,
    /// How far back it looks.
    pub window: Duration,
    /// Requests in the window below which it does not judge.
    pub volume: u32,
    /// How long it stays open before it lets probes pass.
    pub open: Duration,
    /// Probes that must all succeed to close it.
    pub probes: u32,
    /// Answers that count as failed.
    pub statuses: Vec<u16>,
}

/// Slow requests that open a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowCalls {
    /// A request is slow beyond this time to the head of its answer.
    pub over: Duration,
    /// Share of slow requests that opens the breaker.
    pub share: Percent,
}

/// When a request is sent once more to the same side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Tries in all, the first one too.
    pub attempts: u32,
    /// Repeats as a share of requests, at most.
    pub budget: Percent,
    /// Repeats per second that are allowed in any case.
    pub per_second: u32,
    /// Longest wait before the first repeat; doubles.
    pub backoff: Duration,
    /// Longest wait before any.
    pub backoff_max: Duration,
    /// Whether a write with an `Idempotency-Key` may be repeated.
    pub idempotency_keys: bool,
}

/// How one of several instances is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// Share of usable instances below which all are used.
    pub panic: Percent,
    /// When an instance that fails is left alone.
    pub ejection: Option<Ejection>,
}

/// When an instance that fails is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ejection {
    /// Failures in a row.
    pub after: u32,
    /// For how long the first time; doubles.
    pub first: Duration,
    /// For how long at most.
    pub longest: Duration,
}

/// What is answered while nobody else can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Degraded {
    /// How old an answer may be.
    pub age: Duration,
    /// The most bytes of answers kept.
    pub bytes: ByteSize,
}

impl Upstream {
    /// All instances; at least one.
    pub fn instances(&self) -> impl Iterator<Item = &UpstreamUrl> {
        std::iter::once(&self.url).chain(&self.further)
    }
}

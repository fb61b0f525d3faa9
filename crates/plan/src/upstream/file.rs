//! Upstreams as they are written in the plan file.

use super::Trailers;
use crate::base::{Located, ScalarOrMap, Text};
use schemars::JsonSchema;
use serde::Deserialize;

/// An HTTP upstream and its database.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamFile {
    /// `http://host:port`, or `unix:/path` for a Unix socket.
    #[serde(default)]
    pub(super) url: Option<Text>,
    /// The same for several instances, in place of `url`.
    #[serde(default)]
    pub(super) urls: Vec<Text>,
    /// `postgres://user:password@host:port/database`, direct, not a pooler.
    /// May be left out where no extraction needs it.
    #[serde(default)]
    pub(super) database: Option<Text>,
    /// Path that answers 200 when the upstream can work, or that and more.
    #[serde(default)]
    pub(super) health: Option<Located<ScalarOrMap<HealthFile>>>,
    /// How long it may take; what is left out is as in `gateway.timeouts`.
    #[serde(default)]
    pub(super) timeouts: TimeoutsFile,
    /// When it is no longer asked for a while: `on`, `off` (default) or more.
    #[serde(default)]
    pub(super) breaker: Option<Located<ScalarOrMap<BreakerFile>>>,
    /// What it speaks: `http1` (default), or `h2c`, HTTP/2 without TLS, as gRPC
    /// needs it.
    #[serde(default)]
    pub(super) protocol: ProtocolFile,
    /// When a request is sent once more (default: with several instances).
    #[serde(default)]
    pub(super) retries: Option<Located<RetriesFile>>,
    /// How one of several instances is chosen.
    #[serde(default)]
    pub(super) balance: BalanceFile,
    /// What is answered while nobody else can.
    #[serde(default)]
    pub(super) degraded: Option<DegradedFile>,
    /// What becomes of the trailers of a request over HTTP/1: `drop` (default), or
    /// `pass`, where the server is known to read them as what they are.
    #[serde(default)]
    pub(super) trailers: Trailers,
    /// Headers of its answers that clients do not get: what it tells a proxy that
    /// stood before it, such as `X-Accel-Redirect` or `X-Sendfile`.
    #[serde(default, rename = "hide-headers")]
    pub(super) hide_headers: Vec<Text>,
}

/// What an upstream speaks.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProtocolFile {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 without TLS, known beforehand.
    H2c,
}

/// Active health checks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthFile {
    /// Path that answers 200 when the upstream can work.
    pub(super) path: Text,
    /// Time between two checks of an instance (default 5s).
    #[serde(default)]
    pub(super) interval: Option<Text>,
    /// How long a check may take (default 1s).
    #[serde(default)]
    pub(super) timeout: Option<Text>,
    /// Checks in a row that make it healthy again (default 2).
    #[serde(default)]
    pub(super) rise: Option<Located<u32>>,
    /// Checks in a row that make it unhealthy (default 3).
    #[serde(default)]
    pub(super) fall: Option<Located<u32>>,
}

/// How long an upstream may take.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TimeoutsFile {
    /// For a connection (default 2s).
    #[serde(default)]
    pub(super) connect: Option<Text>,
    /// For the head of an answer, all tries together (default: as
    /// `gateway.first-byte`).
    #[serde(default)]
    pub(super) first_byte: Option<Text>,
    /// Between two parts of an answer's body (default 5m).
    #[serde(default)]
    pub(super) idle: Option<Text>,
    /// The same of a stream of events (`text/event-stream`) or of gRPC, and how long
    /// an upgraded connection (WebSocket) may be silent (default 1h).
    #[serde(default)]
    pub(super) stream: Option<Text>,
    /// From the request to the end of its answer (default: no bound).
    #[serde(default)]
    pub(super) whole: Option<Text>,
}

/// How long requests of a route may take, where that differs from others of its
/// upstream.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RouteTimeoutsFile {
    /// For the next part of a request's body (default: as `gateway.client.body`).
    #[serde(default)]
    pub(super) body: Option<Text>,
    /// As in the timeouts of upstreams.
    #[serde(default)]
    pub(super) first_byte: Option<Text>,
    /// As in the timeouts of upstreams.
    #[serde(default)]
    pub(super) idle: Option<Text>,
    /// As in the timeouts of upstreams.
    #[serde(default)]
    pub(super) stream: Option<Text>,
    /// As in the timeouts of upstreams.
    #[serde(default)]
    pub(super) whole: Option<Text>,
}

/// When an upstream is no longer asked for a while.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BreakerFile {
    /// Share of failed requests that opens it (default 50%).
    #[serde(default)]
    pub(super) errors: Option<Text>,
    /// Slow requests that open it.
    #[serde(default)]
    pub(super) slow: Option<SlowFile>,
    /// How far back it looks (default 10s).
    #[serde(default)]
    pub(super) window: Option<Text>,
    /// Requests in the window below which it does not judge (default 20).
    #[serde(default)]
    pub(super) volume: Option<Located<u32>>,
    /// How long it stays open before it lets probes pass (default 5s).
    #[serde(default)]
    pub(super) open: Option<Text>,
    /// Probes that must all succeed to close it (default 3).
    #[serde(default)]
    pub(super) probes: Option<Located<u32>>,
    /// Answers that count as failed (default 502, 503 and 504).
    #[serde(default)]
    pub(super) statuses: Option<Vec<Located<u16>>>,
}

/// Slow requests that open a breaker.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlowFile {
    /// A request is slow beyond this time to the head of its answer.
    pub(super) over: Text,
    /// Share of slow requests that opens the breaker (default 80%).
    #[serde(default)]
    pub(super) share: Option<Text>,
}

/// When a request is sent once more to the same side.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RetriesFile {
    /// Tries in all, the first one too (default 2).
    #[serde(default)]
    pub(super) attempts: Option<Located<u32>>,
    /// Repeats as a share of requests, at most (default 20%).
    #[serde(default)]
    pub(super) budget: Option<Text>,
    /// Repeats per second that are allowed in any case (default 3).
    #[serde(default)]
    pub(super) per_second: Option<Located<u32>>,
    /// Longest wait before the first repeat; doubles (default 25ms).
    #[serde(default)]
    pub(super) backoff: Option<Text>,
    /// Longest wait before any, also where `Retry-After` asks for one
    /// (default 250ms).
    #[serde(default)]
    pub(super) backoff_max: Option<Text>,
    /// Whether a write with an `Idempotency-Key` may be repeated, by default
    /// not: the upstream must keep those keys.
    #[serde(default)]
    pub(super) idempotency_keys: bool,
}

/// How one of several instances is chosen.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BalanceFile {
    /// Share of usable instances below which all are used (default 50%).
    #[serde(default)]
    pub(super) panic: Option<Text>,
    /// When an instance that fails is left alone: `on` (default), `off` or
    /// more.
    #[serde(default)]
    pub(super) ejection: Option<Located<ScalarOrMap<EjectionFile>>>,
}

/// When an instance that fails is left alone.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EjectionFile {
    /// Failures in a row (default 5).
    #[serde(default)]
    pub(super) after: Option<Located<u32>>,
    /// For how long the first time; doubles (default 10s).
    #[serde(default, rename = "for")]
    pub(super) first: Option<Text>,
    /// For how long at most (default 5m).
    #[serde(default, rename = "at-most")]
    pub(super) longest: Option<Text>,
}

/// What is answered while nobody else can.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DegradedFile {
    /// How old an answer may be.
    pub(super) cache: Text,
    /// The most bytes of answers kept (default 8MiB).
    #[serde(default)]
    pub(super) bytes: Option<Text>,
}

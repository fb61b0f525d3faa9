//! The section `gateway:`.

mod buffering;
mod client;
mod host_addresses;
mod kong_import;
mod listen;
mod observe;

pub use buffering::Buffering;
pub use client::ClientLimits;
pub use host_addresses::HostAddresses;
pub use listen::{Certificate, ClientCertificates, ListenAddress, Listener, Tls};
pub use observe::{AccessLog, LogTarget, Observe, StatusPages, Tracing};

use crate::{
    access::{self, Access, AccessFile, ConsumerFile, IdentityFile, JwksFile, LimitsStoreFile},
    base::{
        ByteSize, Located, ParseContext, PlanError, ServiceName, Text, parse, size_or,
        socket_address, time_or,
    },
    flags::{self, Flags, FlagsFile},
    gateway_route::{GatewayRoute, GatewayRouteFile, gateway_routes},
    policy::PoliciesFile,
    upstream::{Timeouts, TimeoutsFile, Upstream},
};
use buffering::BufferingFile;
use client::ClientFile;
use kong_import::Destinations;
use listen::ListenerFile;
use observe::{AccessLogFile, MetricsFile, StatusFile, TracingFile};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

const WORKERS_MAX: u16 = 256;

/// How long an upstream may take until the head of its answer, where nothing is
/// said: as nginx waits.
pub(crate) const FIRST_BYTE: Duration = Duration::from_mins(1);

/// Whoever stops or replaces a gateway waits for as long as its grace.
const GRACE: Duration = Duration::from_mins(1);
const GRACE_MAX: Duration = Duration::from_hours(1);

/// Where and how the gateway listens.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GatewayFile {
    /// `address:port` that clients connect to.
    pub(crate) listen: Text,
    /// Single-threaded workers; default: one per core.
    #[serde(default)]
    pub(crate) workers: Option<Located<u16>>,
    /// Longest wait for a client's own last write (default 2s).
    #[serde(default)]
    pub(crate) pin_wait: Option<Text>,
    /// What becomes of a request for the monolith whose client's own write has not
    /// reached it after `pin-wait` (default `refuse`).
    #[serde(default)]
    pub(crate) pin_expired: PinExpired,
    /// Longest wait for the head of an answer (default 60s).
    #[serde(default)]
    pub(crate) first_byte: Option<Text>,
    /// How long an idle upstream connection is kept (default 1s); must be
    /// shorter than the upstream's keep-alive time, which is 2s for gunicorn.
    #[serde(default)]
    pub(crate) upstream_idle: Option<Text>,
    /// How long requests under way may take to end when the process stops, or another
    /// one takes over (default 60s, at most 1h); what runs for longer is cut off. What
    /// starts and stops the process has to wait for longer than that.
    #[serde(default)]
    pub(crate) grace: Option<Text>,
    /// Routes that belong to no extraction, by name: to one upstream for good.
    #[serde(default)]
    pub(crate) routes: BTreeMap<String, Located<GatewayRouteFile>>,
    /// What becomes of a request that no route matches: it goes to the `monolith`,
    /// or is answered `404` (default `monolith`; with `kong`, as Kong does, 404).
    #[serde(default)]
    pub(crate) unmatched: Option<Text>,
    /// How long upstreams may take, unless they have a word of their own.
    #[serde(default)]
    pub(crate) timeouts: Option<TimeoutsFile>,
    /// The largest body of a read that is kept to send it again (default
    /// 64KiB).
    #[serde(default)]
    pub(crate) replay_bytes: Option<Text>,
    /// Where bodies are kept that come without a length, until all of them is there.
    #[serde(default)]
    pub(crate) buffering: Option<BufferingFile>,
    /// How often host names of upstreams are looked up (default 10s).
    #[serde(default)]
    pub(crate) resolve_every: Option<Text>,
    /// More places to listen at: with TLS, on Unix sockets, behind a proxy.
    #[serde(default)]
    pub(crate) listeners: Vec<ListenerFile>,
    /// What a client may send, and how slowly.
    #[serde(default)]
    pub(crate) client: Option<ClientFile>,
    /// Address blocks of proxies in front whose word on their clients counts:
    /// `X-Forwarded-For`, `-Proto`, `-Host` and their like.
    #[serde(default)]
    pub(crate) trusted: Vec<Text>,
    /// Known clients, by name.
    #[serde(default)]
    pub(crate) consumers: BTreeMap<String, Located<ConsumerFile>>,
    /// Keys of an issuer of tokens.
    #[serde(default)]
    pub(crate) jwks: Option<Located<JwksFile>>,
    /// The signed header that tells upstreams who asks.
    #[serde(default)]
    pub(crate) identity: Option<IdentityFile>,
    /// Where gateways count together.
    #[serde(default)]
    pub(crate) limits_store: Option<LimitsStoreFile>,
    /// Kong's declarative file, beside the plan, whose routes, consumers and
    /// plugins are taken over.
    #[serde(default)]
    pub(crate) kong: Option<Text>,
    /// What is demanded of all requests.
    #[serde(default)]
    pub(crate) policies: Option<PoliciesFile>,
    /// What chooses a side for single users.
    #[serde(default)]
    pub(crate) flags: Option<FlagsFile>,
    /// One line for each request.
    #[serde(default)]
    pub(crate) access_log: Option<AccessLogFile>,
    /// Spans for a tracing system.
    #[serde(default)]
    pub(crate) tracing: Option<TracingFile>,
    /// What metrics hold.
    #[serde(default)]
    pub(crate) metrics: Option<MetricsFile>,
    /// Pages of the gateway's own.
    #[serde(default)]
    pub(crate) status: Option<StatusFile>,
}

/// What becomes of a request that has waited for its client's own write in vain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PinExpired {
    /// It is answered 503: nobody sees the state before what they wrote.
    #[default]
    Refuse,
    /// It goes to the monolith as it is, which may lack that write.
    Pass,
}

/// What becomes of a request that no route matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmatched {
    /// It stays with the monolith.
    Monolith,
    /// It is answered 404.
    NotFound,
}

impl Unmatched {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "monolith" => Ok(Self::Monolith),
            "404" => Ok(Self::NotFound),
            other => Err(format!("`{other}` is neither `monolith` nor `404`")),
        }
    }
}

/// The gateway's settings.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// Address that clients connect to.
    pub listen: SocketAddr,
    /// Number of single-threaded workers.
    pub workers: usize,
    /// How long a request waits for its client's last write to reach the side
    /// that it must go to, before it is answered 503.
    pub pin_wait: Duration,
    /// What becomes of it then.
    pub pin_expired: PinExpired,
    /// How long an upstream may take until the head of its answer.
    pub first_byte: Duration,
    /// How long an idle upstream connection is kept. Must be shorter than the
    /// upstream's own keep-alive time, or requests meet closing connections.
    pub upstream_idle: Duration,
    /// How long requests under way may take to end when it stops, or is replaced.
    pub grace: Duration,
    /// Whom it knows, and what it demands of all requests.
    pub access: Access,
    /// Routes beside those of the extractions.
    pub routes: Vec<GatewayRoute>,
    /// What becomes of what none of them and no extraction's matches.
    pub unmatched: Unmatched,
    /// Where host names of upstreams are, if that was said to `banyan serve`.
    pub host_addresses: HostAddresses,
    /// The largest body of a read that is kept to send it again.
    pub replay_bytes: ByteSize,
    /// Where bodies are kept that come without a length.
    pub buffering: Buffering,
    /// How often host names of upstreams are looked up.
    pub resolve_every: Duration,
    /// Where it listens besides `listen`.
    pub listeners: Vec<Listener>,
    /// What a client may send, and how slowly.
    pub client: ClientLimits,
    /// What chooses a side for single users.
    pub flags: Flags,
    /// What people and programs get to see of it.
    pub observe: Observe,
}

/// `services` gains those of Kong's file; `is_used` tells whether an extraction
/// names a flag.
pub(crate) fn resolve(
    file: GatewayFile,
    services: &mut BTreeMap<ServiceName, Upstream>,
    timeouts: Timeouts,
    is_used: impl Fn(&str) -> bool,
    context: &ParseContext<'_>,
) -> Result<Gateway, PlanError> {
    let environment = context.environment;
    let access = AccessFile {
        trusted: file.trusted,
        consumers: file.consumers,
        jwks: file.jwks,
        identity: file.identity,
        limits_store: file.limits_store,
        policies: file.policies,
    };
    let mut access = access::resolve(access, environment, &context.files)?;
    let mut routes = gateway_routes(file.routes, services, environment)?;
    if let Some(name) = &file.kong {
        let into = Destinations {
            access: &mut access,
            routes: &mut routes,
            services,
        };
        kong_import::import(name, timeouts, context, into)?;
    }
    let workers = match file.workers {
        Some(count) if (1..=WORKERS_MAX).contains(&count.value) => usize::from(count.value),
        Some(count) => {
            return Err(PlanError::at(
                count.at,
                format!("workers must be 1 to {WORKERS_MAX}"),
            ));
        }
        None => context.processors.get(),
    };
    let listen = parse(&file.listen, environment, socket_address)?;
    let unmatched = match &file.unmatched {
        Some(text) => parse(text, environment, Unmatched::parse)?,
        None if file.kong.is_some() => Unmatched::NotFound,
        None => Unmatched::Monolith,
    };
    let observe = observe::resolve(
        file.access_log,
        file.tracing,
        file.metrics.as_ref(),
        file.status,
        environment,
    )?;
    Ok(Gateway {
        listen,
        workers,
        pin_wait: time_or(file.pin_wait.as_ref(), Duration::from_secs(2))?,
        pin_expired: file.pin_expired,
        first_byte: time_or(file.first_byte.as_ref(), FIRST_BYTE)?,
        upstream_idle: time_or(file.upstream_idle.as_ref(), Duration::from_secs(1))?,
        grace: grace(file.grace.as_ref())?,
        access,
        routes,
        unmatched,
        host_addresses: HostAddresses::default(),
        replay_bytes: size_or(file.replay_bytes.as_ref(), 64 << 10)?,
        buffering: buffering::resolve(&file.buffering.unwrap_or_default(), environment)?,
        resolve_every: time_or(file.resolve_every.as_ref(), Duration::from_secs(10))?,
        listeners: listen::resolve(file.listeners, listen, environment)?,
        client: client::resolve(&file.client.unwrap_or_default())?,
        flags: flags::resolve(file.flags.unwrap_or_default(), is_used, environment)?,
        observe,
    })
}

fn grace(text: Option<&Text>) -> Result<Duration, PlanError> {
    let grace = time_or(text, GRACE)?;
    match text {
        Some(text) if grace > GRACE_MAX => Err(PlanError::at(
            text.at,
            "a grace is at most 1h: so long, whoever stops or replaces the process waits",
        )),
        _ => Ok(grace),
    }
}

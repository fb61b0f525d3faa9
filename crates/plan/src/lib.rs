//! The plan: the file `banyan.yaml`, which says what is moved and how.
//!
//! Parsing happens in two steps, so that a value is checked in one place and
//! an error can say where it stands: the text becomes the types of [`file`]
//! (unknown keys are refused, nothing is interpreted), and those become a
//! [`Plan`] (references to the environment substituted, every value parsed,
//! cross references checked). The rest of Banyan sees only [`Plan`].
//!
//! Pure: no I/O, no clock, and the environment comes in as a function.

mod access;
mod client;
mod error;
pub mod file;
mod flags;
mod gateway_route;
mod included;
mod kong;
pub mod listen;
mod located;
mod names;
mod observe;
mod operation;
mod own_writes;
mod path;
mod policy;
mod reload;
mod resolve;
mod route;
mod routes;
mod secret;
mod shadow;
mod tables;
mod upstream;
mod values;
mod word;

pub use access::{
    Access, CLIENTS, Consumer, IdentityHeader, Jwks, JwksSource, JwtAlgorithm, JwtCredential,
    LimitsStore, OPERATORS,
};
pub use client::ClientLimits;
pub use error::PlanError;
pub use flags::{Flag, FlagChoice, FlagStore, Flags};
pub use gateway_route::{
    Canary, CanaryKey, CanaryShare, Destination, GatewayRoute, Resolve, Rewrite,
};
pub use included::Files;
pub use listen::{Certificate, ClientCertificates, ListenAddress, Listener, Tls};
pub use names::{ColumnName, ExtractionName, ServiceName, TableName};
pub use observe::{AccessLog, LogTarget, Observe, StatusPages, Tracing};
pub use operation::{Dialect, NamePattern, Operations};
pub use own_writes::{ReadYourWrites, TokenCarrier};
pub use path::PathPattern;
pub use policy::{
    AddressRule, CREDENTIAL_BYTES_MAX, Correlation, Cors, Generator, Jwt, Keys, Limit, LimitBy,
    Limits, OnError, Origin, Origins, Period, Policies, Store,
};
pub use route::{HeaderMatch, HostPattern, KindRule, MethodKind, Route};
pub use secret::Secret;
pub use shadow::{Ignored, Shadow};
pub use tables::{BorderRule, ColumnPair, Data, ForeignColumn, Replicate, TableMapping};
pub use upstream::{
    Balance, Breaker, Degraded, Ejection, HealthChecks, INSTANCES_MAX, Protocol, Retries,
    SlowCalls, Timeouts, Upstream,
};
pub use values::{ByteSize, CohortKey, DatabaseUrl, Percent, UpstreamUrl};

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

/// A plan whose every value has been checked.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The old side.
    pub monolith: Upstream,
    /// The new sides, by name.
    pub services: BTreeMap<ServiceName, Upstream>,
    /// Where and how the gateway listens.
    pub gateway: Gateway,
    /// Where the conductor's API listens.
    pub control: SocketAddr,
    /// The units of migration, by name.
    pub extractions: BTreeMap<ExtractionName, Extraction>,
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
    /// How long an upstream may take until the head of its answer.
    pub first_byte: Duration,
    /// How long an idle upstream connection is kept. Must be shorter than the
    /// upstream's own keep-alive time, or requests meet closing connections.
    pub upstream_idle: Duration,
    /// Whom it knows, and what it demands of all requests.
    pub access: Access,
    /// Routes beside those of the extractions.
    pub routes: Vec<GatewayRoute>,
    /// Where host names of upstreams are, if that was said to `banyan serve`.
    pub resolve: Resolve,
    /// The largest body of a read that is kept to send it again.
    pub replay_bytes: ByteSize,
    /// How often host names of upstreams are looked up.
    pub resolve_every: Duration,
    /// How long an upgraded connection may be silent in both directions.
    pub upgraded_idle: Duration,
    /// Where it listens besides `listen`.
    pub listeners: Vec<Listener>,
    /// What a client may send, and how slowly.
    pub client: ClientLimits,
    /// What chooses a side for single users.
    pub flags: Flags,
    /// What people and programs get to see of it.
    pub observe: Observe,
}

/// One unit of migration: routes and tables that move to one service.
#[derive(Debug, Clone)]
pub struct Extraction {
    /// Its name.
    pub name: ExtractionName,
    /// The service that it moves to.
    pub service: ServiceName,
    /// The requests that it owns; see [`Route::by_priority`].
    pub routes: Vec<Route>,
    /// The tables that move, or that both sides share.
    pub data: Data,
    /// What a client is known by. Clients without it stay with the owner;
    /// where data are shared, with the monolith until the share is all.
    pub cohort_key: CohortKey,
    /// How testers choose a side themselves.
    pub force: Option<Force>,
    /// The feature flag that chooses a side for a user's reads; for the
    /// writes, too, where data are shared.
    pub flag: Option<String>,
    /// What is demanded of its requests, over what is demanded of all.
    pub policies: Policies,
    /// Whether copies of its requests are compared.
    pub shadow: Option<Shadow>,
}

/// How testers choose a side for their reads, and for their writes where data
/// are shared: by `always` (the service) or
/// `never` in a header, with the key in the header of that name and `-key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Force {
    /// The header's name, lower case.
    pub header: String,
    /// What the other header must hold.
    pub key: Secret,
}

/// The databases that an extraction moves tables between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Databases {
    /// The monolith's; a direct connection, not a pooler.
    pub monolith: DatabaseUrl,
    /// The service's, likewise.
    pub service: DatabaseUrl,
}

/// Bounds of a hand-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch {
    /// The longest that a request is held.
    pub hold: Duration,
    /// How long writes in flight may take to be answered once the hold began.
    pub drain: Duration,
    /// The most requests held at once, over all gateways of this process.
    pub held_requests: usize,
    /// The most bytes of bodies held at once.
    pub held_bytes: ByteSize,
    /// How far the new owner's sequences start past the old owner's.
    pub block: u32,
    /// The lag above which a switch is not begun.
    pub lag: ByteSize,
}

impl Plan {
    /// Parses a plan. `environment` looks up a variable for `${NAME}`.
    /// Files that the plan names cannot be read: see [`Plan::parse_with_files`].
    pub fn parse(
        text: &str,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, PlanError> {
        Self::parse_with_files(text, environment, &Files::none())
    }

    /// Parses a plan that may name files beside it.
    pub fn parse_with_files(
        text: &str,
        environment: impl Fn(&str) -> Option<String>,
        files: &Files<'_>,
    ) -> Result<Self, PlanError> {
        let file: file::PlanFile =
            serde_saphyr::from_str(text).map_err(|error| PlanError::syntax(&error))?;
        resolve::resolve(file, &environment, files)
    }

    /// The extractions whose data are copied and followed, and how.
    pub fn replicated(&self) -> impl Iterator<Item = (&Extraction, &Replicate)> {
        let all = self.extractions.values();
        all.filter_map(|one| Some((one, one.data.replicate()?)))
    }

    /// The upstream of an extraction's service.
    ///
    /// Every extraction of a parsed plan names a service of that plan.
    pub fn service_of(&self, extraction: &Extraction) -> &Upstream {
        &self.services[&extraction.service]
    }
}

/// The JSON Schema of the plan file.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(file::PlanFile).to_value()
}

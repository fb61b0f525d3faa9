//! The plan file as it is written: names and nesting, values still text.
//!
//! Doc comments here become the descriptions of the JSON Schema.

use crate::{
    access::file::{ConsumerFile, IdentityFile, JwksFile, LimitsStoreFile},
    listen::ListenerFile,
    located::Located,
    observe::{AccessLogFile, MetricsFile, StatusFile, TracingFile},
    policy::file::PoliciesFile,
    routes::{GatewayRouteFile, RolloutFile, RouteFile},
    shadow::ShadowFile,
    upstream::file::{TimeoutsFile, UpstreamFile},
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

type Text = Located<String>;

/// A Banyan plan: what is moved out of a monolith, and how.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// The old side: the monolith's HTTP address and its database.
    pub(crate) monolith: UpstreamFile,
    /// The new sides, by name.
    pub(crate) services: BTreeMap<String, UpstreamFile>,
    /// The gateway that stands in front of both.
    pub(crate) gateway: GatewayFile,
    /// The conductor's API, for the command line.
    #[serde(default)]
    pub(crate) control: Option<ControlFile>,
    /// The units of migration, by name.
    pub(crate) extractions: BTreeMap<String, Located<ExtractionFile>>,
}

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
    /// Longest wait for the head of an answer (default 30s).
    #[serde(default)]
    pub(crate) first_byte: Option<Text>,
    /// How long an idle upstream connection is kept (default 4s); must be
    /// shorter than the upstream's keep-alive time.
    #[serde(default)]
    pub(crate) upstream_idle: Option<Text>,
    /// Routes that belong to no extraction, by name: to one upstream for good.
    #[serde(default)]
    pub(crate) routes: BTreeMap<String, Located<GatewayRouteFile>>,
    /// How long upstreams may take, unless they have a word of their own.
    #[serde(default)]
    pub(crate) timeouts: Option<TimeoutsFile>,
    /// The largest body of a read that is kept to send it again (default
    /// 64KiB).
    #[serde(default)]
    pub(crate) replay_bytes: Option<Text>,
    /// How often host names of upstreams are looked up (default 10s).
    #[serde(default)]
    pub(crate) resolve_every: Option<Text>,
    /// How long an upgraded connection (WebSocket) may be silent (default 5m).
    #[serde(default)]
    pub(crate) upgraded_idle: Option<Text>,
    /// More places to listen at: with TLS, on Unix sockets, behind a proxy.
    #[serde(default)]
    pub(crate) listeners: Vec<ListenerFile>,
    /// What a client may send, and how slowly.
    #[serde(default)]
    pub(crate) client: Option<crate::client::ClientFile>,
    /// Address blocks of proxies in front whose `X-Forwarded-For` counts.
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
    pub(crate) flags: Option<crate::flags::FlagsFile>,
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

/// Where the conductor's API listens.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ControlFile {
    /// `address:port`; default `127.0.0.1:7600`.
    pub(crate) listen: Text,
}

/// One unit of migration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "if" = { "properties": { "data": { "properties": { "mode": { "const": "shared" } } } } },
    "then" = { "properties": { "switch": false, "rollout": { "properties": {
        "read-your-writes": false
    } } } }
))]
pub struct ExtractionFile {
    /// The service that it moves to.
    pub(crate) service: Text,
    /// The requests that it owns.
    pub(crate) routes: Vec<RouteFile>,
    /// The tables that move, or that both sides share.
    pub(crate) data: DataFile,
    /// How traffic is shifted.
    #[serde(default)]
    pub(crate) rollout: Option<RolloutFile>,
    /// The bounds of a hand-over.
    #[serde(default)]
    pub(crate) switch: Option<Located<SwitchFile>>,
    /// What is demanded of its requests.
    #[serde(default)]
    pub(crate) policies: Option<PoliciesFile>,
    /// Copies of its requests whose answers are compared.
    #[serde(default)]
    pub(crate) shadow: Option<ShadowFile>,
}

/// Where the data are, and how they move.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "if" = { "properties": { "mode": { "const": "shared" } } },
    "then" = { "maxProperties": 1 },
    "else" = { "required": ["schema", "tables"] }
))]
pub struct DataFile {
    /// How the data move, if they do.
    pub(crate) mode: Located<ModeFile>,
    /// Schema of the tables in the service's database.
    #[serde(default)]
    pub(crate) schema: Option<Text>,
    /// Tables by their name in the monolith, `schema.table`.
    #[serde(default)]
    pub(crate) tables: Option<Located<BTreeMap<String, Located<TableFile>>>>,
    /// `application_name`s of the sessions that may write these tables.
    #[serde(default)]
    pub(crate) writers: Option<Located<Vec<Text>>>,
    /// Columns of tables that stay, `schema.table.column`, whose foreign keys
    /// point at tables that move, and what a deletion there does.
    #[serde(default)]
    pub(crate) references: Option<Located<BTreeMap<String, Located<BorderFile>>>>,
}

/// How the data move.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ModeFile {
    /// Copy, then follow the change stream; writers move in one step.
    Replicate,
    /// Not at all: monolith and service work on the same tables of one
    /// database, and both may write. Writes are split as reads are.
    Shared,
}

/// A table in the service's database.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableFile {
    /// Its name there; the same when left out.
    #[serde(default)]
    pub(crate) to: Option<Text>,
    /// Columns with another name there: monolith's name to service's name.
    #[serde(default)]
    pub(crate) columns: BTreeMap<String, Text>,
}

/// What a deletion in a moved table does to a row that stays and refers to it.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BorderFile {
    /// It must not happen while such a row is there; if it does, following
    /// stops with an error rather than leave an orphan.
    Restrict,
}

/// The bounds of a hand-over.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SwitchFile {
    /// Longest that a request is held (default 2s).
    #[serde(default)]
    pub(crate) hold: Option<Text>,
    /// Longest wait for writes in flight (default 1s).
    #[serde(default)]
    pub(crate) drain: Option<Text>,
    /// Most requests held at once (default 1000).
    #[serde(default)]
    pub(crate) held_requests: Option<Located<u32>>,
    /// Most bytes of bodies held at once (default 16MiB).
    #[serde(default)]
    pub(crate) held_bytes: Option<Text>,
    /// How far sequences start past the old owner's (default 1000).
    #[serde(default)]
    pub(crate) block: Option<Located<u32>>,
    /// Lag above which a switch is not begun (default 1MiB).
    #[serde(default)]
    pub(crate) lag: Option<Text>,
}

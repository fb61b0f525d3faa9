//! The plan: the file `banyan.yaml`, which says what is moved and how.
//!
//! Parsing happens in two steps, so that a value is checked in one place and
//! an error can say where it stands: the text becomes the types called
//! `...File` (unknown keys are refused, nothing is interpreted; their doc comments
//! become the descriptions of the JSON Schema), and those become a
//! [`Plan`] (references to the environment substituted, every value parsed,
//! cross references checked). The rest of Banyan sees only [`Plan`].
//!
//! Pure: no I/O, no clock; the environment and the files that a plan names come
//! in as functions, the count of processors as a number ([`ParseContext`]).
//!
//! # Floors
//!
//! An area is a section of the file: the form as it is written, the checked
//! values, and how the one becomes the other. It knows the areas below it.
//!
//! ```text
//!  6   plan           the whole file; what must fit together; what a reload can take
//!  5   gateway        the section `gateway:`
//!  4   kong           Kong's file, read into routes, upstreams, consumers
//!  3   extraction     access     gateway_route     checklists
//!  2   upstream       policy     route     flags
//!  1   base           values, names, paths, places in the file, the error
//! ```

mod access;
mod base;
mod checklists;
mod extraction;
mod flags;
mod gateway;
mod gateway_route;
mod kong;
mod plan;
mod policy;
mod route;
mod upstream;

pub use access::{
    Access, CLIENTS, Consumer, IdentityHeader, Jwks, JwksSource, JwtAlgorithm, JwtCredential,
    LimitsStore, OPERATORS,
};
pub use base::{
    ByteSize, ChannelBinding, ClientCertificate, ColumnName, ConnectionParameters, DatabaseUrl,
    ExtractionName, FileLoader, Length, ParseContext, PathPattern, Percent, PlanError, Roots,
    Secret, ServiceName, SslMode, TableName, UpstreamUrl, duration,
};
pub use checklists::{AutomaticCheck, ChecklistItem, Checklists, DECOMMISSIONING, PRE_MIGRATION};
pub use extraction::{
    Automatic, CohortKey, ColumnPair, Data, Databases, DeclaredVolatile, Extraction, Force,
    ForeignColumn, ForeignKeyRule, GateSource, Gates, Ignored, LagLimit, Limit as GateLimit,
    MeasuredGate, Number, OnFail, PrometheusQuery, Quantile, ReadYourWrites, Replicate, Retire,
    Schedule, Shadow, ShadowLimit, Step, StepDifference, StepDoes, Switch, TableMapping,
    TableWrites, Throughput, TokenTransport, ValueLimit, Webhook, WeekWindow, WriterPattern,
    step_changes,
};
pub use flags::{Flag, FlagChoice, FlagStore, Flags};
pub use gateway::{
    AccessLog, Buffering, Certificate, ClientCertificates, ClientLimits, Gateway, HostAddresses,
    ListenAddress, Listener, LogTarget, Observe, PinExpired, StatusPages, Tls, Tracing, Unmatched,
};
pub use gateway_route::{Canary, CanaryKey, CanaryShare, Destination, GatewayRoute, Rewrite};
pub use plan::{Control, Exposure, Oversight, People, Person, Plan, PlanFile, Role};
pub use policy::{
    AddressRule, CREDENTIAL_BYTES_MAX, Correlation, Cors, Generator, Jwt, Keys, Limit, LimitBy,
    Limits, OnError, Origin, Origins, Period, Policies, Store,
};
pub use route::{
    Dialect, HeaderMatch, HostPattern, KindRule, MethodKind, NamePattern, Operations, Route,
};
pub use upstream::{
    Balance, Breaker, Degraded, Ejection, HealthChecks, INSTANCES_MAX, Protocol, Retries,
    RouteTimeouts, SlowCalls, Timeouts, Trailers, Upstream,
};

/// The JSON Schema of the plan file.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(PlanFile).to_value()
}

//! Policies as they are written.

use crate::located::Located;
use schemars::JsonSchema;
use serde::Deserialize;

type Text = Located<String>;

/// What is demanded of requests here. A kind that stands here replaces the
/// same kind of a more general place.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PoliciesFile {
    /// Only these address blocks may come.
    #[serde(default)]
    pub(crate) allow: Option<Vec<Text>>,
    /// These address blocks may not come.
    #[serde(default)]
    pub(crate) deny: Option<Vec<Text>>,
    /// Pages of other origins that may ask; preflights are answered here.
    #[serde(default)]
    pub(crate) cors: Option<Located<CorsFile>>,
    /// Largest body, such as 1MiB.
    #[serde(default)]
    pub(crate) body_bytes: Option<Text>,
    /// An API key of a consumer is demanded.
    #[serde(default)]
    pub(crate) keys: Option<KeysFile>,
    /// A JSON web token is demanded.
    #[serde(default)]
    pub(crate) jwt: Option<JwtFile>,
    /// The consumer must be in one of these groups; wants `keys` or `jwt`.
    #[serde(default)]
    pub(crate) groups: Option<Vec<Text>>,
    /// How often one may ask; all must leave room.
    #[serde(default)]
    pub(crate) limits: Option<Vec<Located<LimitFile>>>,
    /// A correlation id under a name of your own.
    #[serde(default)]
    pub(crate) correlation: Option<CorrelationFile>,
}

/// Where an API key is looked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeysFile {
    /// Header that brings it (default x-api-key, where no query is named).
    #[serde(default)]
    pub(crate) header: Option<Text>,
    /// Query parameter that brings it.
    #[serde(default)]
    pub(crate) query: Option<Text>,
    /// Whether the upstream does not get to see it (default false).
    #[serde(default)]
    pub(crate) hide: bool,
}

/// Which JSON web tokens are good.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct JwtFile {
    /// Header that brings it (default authorization).
    #[serde(default)]
    pub(crate) header: Option<Text>,
    /// Cookie that may bring it, too.
    #[serde(default)]
    pub(crate) cookie: Option<Text>,
    /// Query parameter that may bring it, too; logs along the way keep it.
    #[serde(default)]
    pub(crate) query: Option<Text>,
    /// Claim that names the consumer's credential (default iss).
    #[serde(default)]
    pub(crate) key_claim: Option<Text>,
    /// Issuers; whoever holds a known key when left out.
    #[serde(default)]
    pub(crate) issuers: Vec<Text>,
    /// Audiences; any when left out.
    #[serde(default)]
    pub(crate) audiences: Vec<Text>,
    /// Claims that must be there (default exp). exp and nbf are obeyed always.
    #[serde(default)]
    pub(crate) required: Option<Vec<Text>>,
    /// How far clocks may differ (default 10s).
    #[serde(default)]
    pub(crate) leeway: Option<Text>,
    /// Longest that a token may still be valid; any when left out.
    #[serde(default)]
    pub(crate) lifetime_max: Option<Text>,
}

/// One limit: at least one of the windows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LimitFile {
    /// What is counted separately (default consumer; by address where there
    /// is none).
    #[serde(default)]
    pub(crate) by: Option<ByFile>,
    /// Requests per second.
    #[serde(default)]
    pub(crate) second: Option<Located<u64>>,
    /// Requests per minute.
    #[serde(default)]
    pub(crate) minute: Option<Located<u64>>,
    /// Requests per hour.
    #[serde(default)]
    pub(crate) hour: Option<Located<u64>>,
    /// Requests per day, UTC.
    #[serde(default)]
    pub(crate) day: Option<Located<u64>>,
    /// Requests per month of the calendar, UTC.
    #[serde(default)]
    pub(crate) month: Option<Located<u64>>,
    /// Requests per year of the calendar, UTC.
    #[serde(default)]
    pub(crate) year: Option<Located<u64>>,
    /// Do not tell clients how much is left.
    #[serde(default)]
    pub(crate) hide_headers: bool,
    /// Count in this process (default), or in `gateway.limits-store`.
    #[serde(default)]
    pub(crate) store: Option<Located<StoreFile>>,
    /// When the store cannot be asked (default allow).
    #[serde(default)]
    pub(crate) on_error: Option<OnErrorFile>,
}

/// What is counted separately.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ByFile {
    /// The consumer, or a token's subject.
    Consumer,
    /// The single key or credential.
    Credential,
    /// The client's address.
    Address,
    /// Each path.
    Path,
    /// All requests together.
    Everybody,
    /// The value of this header.
    Header(Text),
}

/// Where counters are.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StoreFile {
    /// In this process.
    Local,
    /// In the Redis of `gateway.limits-store`.
    Redis,
}

/// What happens when the counters cannot be asked.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnErrorFile {
    /// Requests pass, uncounted.
    Allow,
    /// Requests are answered 503.
    Refuse,
}

/// Cross-origin requests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CorsFile {
    /// `https://example.org`, `https://*.example.org`, or `*` alone.
    pub(crate) origins: Vec<Text>,
    /// Methods (default GET, HEAD, PUT, PATCH, POST, DELETE).
    #[serde(default)]
    pub(crate) methods: Option<Vec<Text>>,
    /// Request headers; those that are asked for when left out.
    #[serde(default)]
    pub(crate) headers: Option<Vec<Text>>,
    /// Headers of the answer that the page may read.
    #[serde(default)]
    pub(crate) exposed: Vec<Text>,
    /// Whether credentials are sent along (default false).
    #[serde(default)]
    pub(crate) credentials: bool,
    /// How long a preflight's answer may be kept.
    #[serde(default)]
    pub(crate) max_age: Option<Text>,
}

/// A correlation id under a name of your own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CorrelationFile {
    /// The header.
    pub(crate) header: Text,
    /// How one is made (default uuid).
    #[serde(default)]
    pub(crate) generator: Option<GeneratorFile>,
    /// Whether the client is told it (default false).
    #[serde(default)]
    pub(crate) echo: bool,
}

/// How a correlation id is made.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub enum GeneratorFile {
    /// A UUID of its own.
    #[serde(rename = "uuid")]
    Uuid,
    /// A UUID of the worker, `#`, and a count.
    #[serde(rename = "uuid#counter")]
    UuidCounter,
}

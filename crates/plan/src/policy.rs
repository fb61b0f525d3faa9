//! What the gateway demands of a request before it is sent anywhere, and what
//! it says about it afterwards.
//!
//! Policies may stand for all requests (`gateway.policies`), at an extraction
//! and at a gateway route. The more specific one replaces the general one *by
//! kind*: a route with `limits` of its own and nothing else keeps the `keys`
//! that are demanded of all ([`Policies::over`]).

pub mod file;
mod resolve;

pub(crate) use resolve::{address_block, header_name, resolve};

use crate::ByteSize;
use ipnet::IpNet;
use std::{num::NonZeroU64, time::Duration};

/// Longest credential that is looked at, in bytes: longer ones cost time to
/// digest and are nobody's.
pub const CREDENTIAL_BYTES_MAX: usize = 8 << 10;

/// What is demanded at one place of the plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policies {
    /// Who may come at all.
    pub addresses: Option<AddressRule>,
    /// Which pages of other origins may ask.
    pub cors: Option<Cors>,
    /// The largest body.
    pub body: Option<ByteSize>,
    /// An API key is demanded.
    pub keys: Option<Keys>,
    /// A JSON web token is demanded.
    pub jwt: Option<Jwt>,
    /// The consumer must be in one of these groups.
    pub groups: Option<Vec<String>>,
    /// How often one may ask.
    pub limits: Option<Limits>,
    /// A correlation id under a name of the team's own.
    pub correlation: Option<Correlation>,
    /// Upstreams are told the consumer under Kong's header names, too.
    pub kong_headers: bool,
}

impl Policies {
    /// These, and of the kinds that these do not have, the general ones.
    #[must_use]
    pub fn over(&self, general: &Self) -> Self {
        Self {
            addresses: self.addresses.clone().or_else(|| general.addresses.clone()),
            cors: self.cors.clone().or_else(|| general.cors.clone()),
            body: self.body.or(general.body),
            keys: self.keys.clone().or_else(|| general.keys.clone()),
            jwt: self.jwt.clone().or_else(|| general.jwt.clone()),
            groups: self.groups.clone().or_else(|| general.groups.clone()),
            limits: self.limits.clone().or_else(|| general.limits.clone()),
            correlation: self
                .correlation
                .clone()
                .or_else(|| general.correlation.clone()),
            kong_headers: self.kong_headers || general.kong_headers,
        }
    }

    /// Whether nothing is demanded.
    pub fn is_empty(&self) -> bool {
        *self
            == Self {
                kong_headers: self.kong_headers,
                ..Self::default()
            }
    }
}

/// Who may come at all. A denied block wins over an allowed one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressRule {
    /// Only these, where there is any.
    pub allow: Vec<IpNet>,
    /// Never these.
    pub deny: Vec<IpNet>,
}

/// Which pages of other origins may ask, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// Who may.
    pub origins: Origins,
    /// With which methods.
    pub methods: Vec<String>,
    /// With which headers; `None`: with those that are asked for.
    pub headers: Option<Vec<String>>,
    /// Which headers of the answer the page may read.
    pub exposed: Vec<String>,
    /// Whether cookies and credentials are sent along.
    pub credentials: bool,
    /// How long the browser may keep a preflight's answer.
    pub max_age: Option<Duration>,
}

/// Which origins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Every one.
    Any,
    /// These.
    Some(Vec<Origin>),
}

/// One origin, or all of one domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `https://example.org`, lower case.
    Exact(String),
    /// `https://*.example.org`: every name below it, at any depth.
    Below {
        /// `https://`.
        scheme: String,
        /// `.example.org`, with a port where one was given.
        suffix: String,
    },
}

impl Origin {
    /// Whether an `Origin` header, lower case, means it.
    pub fn matches(&self, origin: &str) -> bool {
        match self {
            Self::Exact(own) => own == origin,
            Self::Below { scheme, suffix } => origin
                .strip_prefix(scheme.as_str())
                .and_then(|host| host.strip_suffix(suffix.as_str()))
                .is_some_and(|label| {
                    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
                    !label.is_empty() && label.bytes().all(plain)
                }),
        }
    }
}

/// An API key is demanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// Headers that may bring it, lower case; the first that is there counts.
    pub headers: Vec<String>,
    /// Query parameters that may bring it, after the headers.
    pub query: Vec<String>,
    /// Whether the upstream does not get to see it.
    pub hide: bool,
}

/// A JSON web token is demanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwt {
    /// Headers that may bring it, lower case, `Bearer` before it or not.
    pub headers: Vec<String>,
    /// Query parameters that may bring it.
    pub query: Vec<String>,
    /// Cookies that may bring it.
    pub cookies: Vec<String>,
    /// The claim that names the consumer's credential.
    pub key_claim: String,
    /// Who may have issued it; empty: whoever holds a known key.
    pub issuers: Vec<String>,
    /// For whom it must be; empty: for anybody.
    pub audiences: Vec<String>,
    /// Claims that must be there. `exp` and `nbf` are obeyed wherever they
    /// are, demanded or not.
    pub required: Vec<String>,
    /// How far clocks may differ.
    pub leeway: Duration,
    /// The longest that a token may still be valid.
    pub lifetime_max: Option<Duration>,
    /// Whether shared secrets are written in base64.
    pub secrets_are_base64: bool,
    /// Whether the keys of `gateway.jwks` count, beside the consumers' own.
    pub jwks: bool,
}

/// How often one may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Where it stands. Counters of different scopes are different counters,
    /// in this process and in Redis.
    pub scope: String,
    /// All of them must leave room.
    pub rules: Vec<Limit>,
}

/// One count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// What is counted separately.
    pub by: LimitBy,
    /// How much in which window; at least one, shortest first.
    pub windows: Vec<(Period, NonZeroU64)>,
    /// Whether the client is told how much is left.
    pub tells: bool,
    /// Where the counter is.
    pub store: Store,
    /// What happens when the store cannot be asked.
    pub on_error: OnError,
    /// The status of the refusal, most often 429.
    pub status: u16,
}

/// What is counted separately. Who cannot be told by it is told by address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitBy {
    /// The consumer; of tokens without one, their subject.
    Consumer,
    /// The key or token credential, of which a consumer may have several.
    Credential,
    /// The client's address; of IPv6 its /64, which is what one client has.
    Address,
    /// The value of this header, lower case.
    Header(String),
    /// Every path.
    EachPath,
    /// This path.
    Path(String),
    /// Nothing: all requests together.
    Everybody,
}

/// Where a counter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// In this process, shared by its workers.
    Local,
    /// In the Redis of `gateway.limits-store`, shared by all gateways.
    Redis,
}

/// What happens to a request when the counters cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// It passes, uncounted.
    Allow,
    /// It is answered 503.
    Refuse,
}

/// A window of a limit. All begin at UTC's own borders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A month of the calendar.
    Month,
    /// A year of the calendar.
    Year,
}

impl Period {
    /// All, shortest first.
    pub const ALL: [Self; 6] = [
        Self::Second,
        Self::Minute,
        Self::Hour,
        Self::Day,
        Self::Month,
        Self::Year,
    ];

    /// Its name, as it ends `X-RateLimit-Limit-...`, lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

/// A correlation id under a name of the team's own, beside the gateway's
/// `X-Correlation-ID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correlation {
    /// The header, lower case. What a client brings there is passed on.
    pub header: String,
    /// How one is made.
    pub generator: Generator,
    /// Whether the client is told it.
    pub echo: bool,
}

/// How a correlation id is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generator {
    /// A UUID of its own.
    Uuid,
    /// A UUID of the worker, `#`, and a count.
    UuidCounter,
}

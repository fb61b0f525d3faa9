//! What the gateway demands of a request before it is sent anywhere, and what
//! it says about it afterwards.
//!
//! Policies may stand for all requests (`gateway.policies`), at an extraction
//! and at a gateway route. The more specific one replaces the general one *by
//! kind*: a route with `limits` of its own and nothing else keeps the `keys`
//! that are demanded of all ([`Policies::over`]).

mod addresses;
mod correlation;
mod cors;
mod credentials;
mod limits;

pub use addresses::AddressRule;
pub use correlation::{Correlation, Generator};
pub use cors::{Cors, Origin, Origins};
pub use credentials::{CREDENTIAL_BYTES_MAX, Jwt, Keys};
pub use limits::{Limit, LimitBy, Limits, OnError, Period, Store};

use crate::base::{ByteSize, Environment, Located, PlanError, Text, parse, plain};
use correlation::CorrelationFile;
use cors::CorsFile;
use credentials::{JwtFile, KeysFile};
use limits::LimitFile;
use schemars::JsonSchema;
use serde::Deserialize;

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

/// Resolves the policies that stand at `scope`.
pub(crate) fn resolve(
    file: PoliciesFile,
    scope: &str,
    environment: Environment<'_>,
) -> Result<Policies, PlanError> {
    let size = |text: &Text| parse(text, environment, ByteSize::parse);
    let plain = |text: &Text| plain(text, environment);
    Ok(Policies {
        addresses: addresses::resolve(file.allow, file.deny, environment)?,
        cors: file
            .cors
            .map(|file| cors::resolve(file, environment))
            .transpose()?,
        body: file.body_bytes.as_ref().map(size).transpose()?,
        keys: file
            .keys
            .map(|file| credentials::keys(&file, environment))
            .transpose()?,
        jwt: file
            .jwt
            .map(|file| credentials::jwt(&file, environment))
            .transpose()?,
        groups: file
            .groups
            .map(|all| all.iter().map(plain).collect::<Result<_, _>>())
            .transpose()?,
        limits: file
            .limits
            .map(|all| limits::resolve(all, scope, environment))
            .transpose()?,
        correlation: file
            .correlation
            .map(|file| correlation::resolve(&file, environment))
            .transpose()?,
        kong_headers: false,
    })
}

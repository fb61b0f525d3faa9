//! Whom the gateway knows, and how it tells the upstreams.

pub mod file;
mod resolve;

pub(crate) use resolve::{claims_exist, consumer_name, keys_once, resolve, stores_exist};

use crate::{Policies, Secret};
use ipnet::IpNet;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};
use url::Url;

/// The group of the consumers of `GATEWAY_API_KEY`.
pub const OPERATORS: &str = "operators";

/// The group of the consumers of `ALLOWED_API_KEYS`.
pub const CLIENTS: &str = "clients";

/// Whom the gateway knows, what it demands of all, and where it counts.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Address blocks of proxies whose word on the client's address counts.
    pub trusted: Vec<IpNet>,
    /// Known clients, by name.
    pub consumers: BTreeMap<String, Consumer>,
    /// Keys of an issuer that rotates them.
    pub jwks: Option<Jwks>,
    /// The header that tells upstreams who asks.
    pub identity: Option<IdentityHeader>,
    /// The counters that gateways share.
    pub limits_store: Option<LimitsStore>,
    /// What is demanded of all requests.
    pub policies: Policies,
    /// Whether the gateway's own pages want the key of an operator.
    pub operators_only: bool,
}

/// A known client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Consumer {
    /// Its API keys.
    pub keys: Vec<Secret>,
    /// What its tokens are verified by.
    pub jwt: Vec<JwtCredential>,
    /// Its groups.
    pub groups: Vec<String>,
}

/// What a consumer's tokens are verified by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtCredential {
    /// The value of the token's key claim (`iss` by default).
    pub key: String,
    /// The only algorithm that is accepted.
    pub algorithm: JwtAlgorithm,
    /// A shared secret for `HS...`, a public key in PEM for the others.
    pub secret: Secret,
}

/// How tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "RFC 7518, 3.1, says what they are")]
pub enum JwtAlgorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Es256,
    Es384,
}

impl JwtAlgorithm {
    /// Parses `HS256` and its like.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "HS256" => Self::Hs256,
            "HS384" => Self::Hs384,
            "HS512" => Self::Hs512,
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            _ => {
                return Err(format!(
                    "`{text}` is no algorithm that is verified here: \
                     write HS256, RS256, ES256, or HS384, HS512, RS384, RS512, ES384"
                ));
            }
        })
    }

    /// Whether both sides hold the same secret.
    pub fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }
}

/// Where an issuer's keys are, and how often they are read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwks {
    /// Where.
    pub source: JwksSource,
    /// How often.
    pub refresh: Duration,
}

/// Where a key set is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JwksSource {
    /// A file, read again.
    File(PathBuf),
    /// `http://` or `https://`.
    Url {
        /// Where.
        url: Url,
        /// The file with the authorities that its certificate is checked by; the
        /// system's without it.
        ca: Option<PathBuf>,
    },
}

/// The header that tells upstreams who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityHeader {
    /// Its name, lower case.
    pub header: String,
    /// What it is signed with.
    pub secret: Secret,
    /// Claims of the token that it repeats.
    pub claims: Vec<String>,
    /// How long a signature counts.
    pub lifetime: Duration,
}

/// The Redis that counts for all gateways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsStore {
    /// `redis://...`, which may hold a password.
    pub redis: Secret,
    /// The longest that a request waits for it.
    pub wait: Duration,
}

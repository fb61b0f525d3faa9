//! Consumers, key sets and stores as they are written.

use crate::located::Located;
use schemars::JsonSchema;
use serde::Deserialize;

type Text = Located<String>;

/// A known client.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsumerFile {
    /// API keys, as `${VARIABLE}`.
    #[serde(default)]
    pub(crate) keys: Vec<Text>,
    /// What its tokens are verified by.
    #[serde(default)]
    pub(crate) jwt: Vec<Located<JwtCredentialFile>>,
    /// Groups that `groups:` of a policy may ask for.
    #[serde(default)]
    pub(crate) groups: Vec<Text>,
}

/// What a consumer's tokens are verified by.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct JwtCredentialFile {
    /// Value of the token's key claim (`iss` by default).
    pub(crate) key: Text,
    /// HS256 (default), RS256, ES256, ...
    #[serde(default)]
    pub(crate) algorithm: Option<Text>,
    /// Shared secret for `HS...`, as `${VARIABLE}`.
    #[serde(default)]
    pub(crate) secret: Option<Text>,
    /// Public key in PEM for the others.
    #[serde(default)]
    pub(crate) public_key: Option<Text>,
    /// File with it, beside the plan.
    #[serde(default)]
    pub(crate) public_key_file: Option<Text>,
}

/// Keys of an issuer that rotates them: one of `url` and `file`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JwksFile {
    /// `https://...` or `http://...`.
    #[serde(default)]
    pub(crate) url: Option<Text>,
    /// File with the authorities (PEM) that vouch for an `https://...` that the
    /// system's do not know.
    #[serde(default)]
    pub(crate) ca: Option<Text>,
    /// A file beside the plan.
    #[serde(default)]
    pub(crate) file: Option<Text>,
    /// How often it is read again (default 5m).
    #[serde(default)]
    pub(crate) refresh: Option<Text>,
}

/// The signed header that tells upstreams who asks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentityFile {
    /// Its name (default x-banyan-identity).
    #[serde(default)]
    pub(crate) header: Option<Text>,
    /// What it is signed with, as `${VARIABLE}`; at least 16 bytes.
    pub(crate) secret: Text,
    /// Claims of the token that it repeats.
    #[serde(default)]
    pub(crate) claims: Vec<Text>,
    /// How long a signature counts (default 1m).
    #[serde(default)]
    pub(crate) lifetime: Option<Text>,
}

/// Where gateways count together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsStoreFile {
    /// `redis://host:port/database`.
    pub(crate) redis: Text,
    /// Longest wait for it (default 100ms).
    #[serde(default)]
    pub(crate) wait: Option<Text>,
}

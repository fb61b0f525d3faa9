//! What a request proves who it comes from with: `keys` and `jwt`.

use crate::base::{
    Environment, PlanError, Text, header_name, http_token, parse, plain, time, time_or,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// Longest credential that is looked at, in bytes: longer ones cost time to
/// digest and are nobody's.
pub const CREDENTIAL_BYTES_MAX: usize = 8 << 10;

/// Clocks of servers that are looked after differ by less.
const LEEWAY: Duration = Duration::from_secs(10);

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

pub(super) fn keys(file: &KeysFile, environment: Environment<'_>) -> Result<Keys, PlanError> {
    let mut headers = Vec::new();
    if let Some(header) = &file.header {
        headers.push(parse(header, environment, header_name)?);
    }
    let mut query = Vec::new();
    if let Some(name) = &file.query {
        query.push(parse(name, environment, http_token)?);
    }
    if headers.is_empty() && query.is_empty() {
        headers.push("x-api-key".to_owned());
    }
    Ok(Keys {
        headers,
        query,
        hide: file.hide,
    })
}

pub(super) fn jwt(file: &JwtFile, environment: Environment<'_>) -> Result<Jwt, PlanError> {
    let name = |text: &Option<Text>| {
        text.iter()
            .map(|one| parse(one, environment, http_token))
            .collect::<Result<Vec<_>, _>>()
    };
    let plain = |text: &Text| plain(text, environment);
    let all = |texts: &[Text]| texts.iter().map(plain).collect::<Result<Vec<_>, _>>();
    let mut headers = name(&file.header)?;
    if headers.is_empty() {
        headers.push("authorization".to_owned());
    }
    for name in &mut headers {
        name.make_ascii_lowercase();
    }
    Ok(Jwt {
        headers,
        query: name(&file.query)?,
        cookies: name(&file.cookie)?,
        key_claim: match &file.key_claim {
            Some(claim) => plain(claim)?,
            None => "iss".to_owned(),
        },
        issuers: all(&file.issuers)?,
        audiences: all(&file.audiences)?,
        required: match &file.required {
            Some(claims) => all(claims)?,
            None => vec!["exp".to_owned()],
        },
        leeway: time_or(file.leeway.as_ref(), LEEWAY)?,
        lifetime_max: file.lifetime_max.as_ref().map(time).transpose()?,
        secrets_are_base64: false,
        jwks: true,
    })
}

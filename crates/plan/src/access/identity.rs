//! The signed header that tells upstreams who asks: `identity`.

use crate::base::{Environment, PlanError, Secret, Text, header_name, parse, plain, time_or};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// Short secrets are guessed offline, from one signed header.
const IDENTITY_SECRET_BYTES_MIN: usize = 16;

/// Longer than any request waits to be sent, held ones included.
const LIFETIME: Duration = Duration::from_mins(1);

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

pub(super) fn resolve(
    file: &IdentityFile,
    environment: Environment<'_>,
) -> Result<IdentityHeader, PlanError> {
    let secret = parse(&file.secret, environment, |text| {
        if text.len() < IDENTITY_SECRET_BYTES_MIN {
            Err(format!(
                "the identity's secret is shorter than {IDENTITY_SECRET_BYTES_MIN} bytes"
            ))
        } else {
            Secret::new(text)
        }
    })?;
    Ok(IdentityHeader {
        header: match &file.header {
            Some(name) => parse(name, environment, header_name)?,
            None => "x-banyan-identity".to_owned(),
        },
        secret,
        claims: file
            .claims
            .iter()
            .map(|claim| plain(claim, environment))
            .collect::<Result<_, _>>()?,
        lifetime: time_or(file.lifetime.as_ref(), LIFETIME)?,
    })
}

//! What clients bring back so that every gateway shows them their own writes:
//! `rollout.read-your-writes`.

use super::cohort_key::CohortKey;
use crate::base::{Environment, Located, PlanError, Secret, Text, header_name, http_token, parse};
use schemars::JsonSchema;
use serde::Deserialize;

/// As for the identity's signature: what is shorter can be guessed.
const SECRET_BYTES_MIN: usize = 16;

/// The token that clients bring back: exactly one of `cookie` and `header`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadYourWritesFile {
    /// A cookie of this name, for browsers.
    #[serde(default)]
    cookie: Option<Text>,
    /// A header of this name, in answers and requests, for programs.
    #[serde(default)]
    header: Option<Text>,
    /// What it is signed with, as `${VARIABLE}`; at least 16 bytes, and the
    /// same in all gateways.
    secret: Text,
}

/// The token that clients bring back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadYourWrites {
    /// Where it is.
    pub transport: TokenTransport,
    /// What it is signed with.
    pub secret: Secret,
}

/// Where a token is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenTransport {
    /// In a cookie of this name.
    Cookie(String),
    /// In a header of this name, lower case.
    Header(String),
}

pub(crate) fn resolve(
    located: Located<ReadYourWritesFile>,
    key: &CohortKey,
    environment: Environment<'_>,
) -> Result<ReadYourWrites, PlanError> {
    let Located { value: file, at } = located;
    let transport = match (&file.cookie, &file.header) {
        (Some(name), None) => TokenTransport::Cookie(parse(name, environment, http_token)?),
        (None, Some(name)) => TokenTransport::Header(parse(name, environment, header_name)?),
        _ => {
            return Err(PlanError::at(
                at,
                "`read-your-writes` needs exactly one of `cookie` and `header`",
            ));
        }
    };
    let is_the_key = match (&transport, key) {
        (TokenTransport::Cookie(name), CohortKey::Cookie(key))
        | (TokenTransport::Header(name), CohortKey::Header(key)) => name == key,
        _ => false,
    };
    if is_the_key {
        let message = "the token would be what clients are known by, and it changes";
        return Err(PlanError::at(at, message).remedy("Give the token a name of its own"));
    }
    Ok(ReadYourWrites {
        transport,
        secret: parse(&file.secret, environment, |text| {
            if text.len() < SECRET_BYTES_MIN {
                Err(format!(
                    "the token's secret is shorter than {SECRET_BYTES_MIN} bytes"
                ))
            } else {
                Secret::new(text)
            }
        })?,
    })
}

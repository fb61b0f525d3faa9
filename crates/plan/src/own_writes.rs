//! What clients bring back so that every gateway shows them their own writes:
//! `rollout.read-your-writes`.

use crate::{
    CohortKey, Extraction, ExtractionName, PlanError, Secret,
    located::Located,
    resolve::{Environment, parse, token},
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// As for the identity's signature: what is shorter can be guessed.
const SECRET_BYTES_MIN: usize = 16;

/// The token that clients bring back: exactly one of `cookie` and `header`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadYourWritesFile {
    /// A cookie of this name, for browsers.
    #[serde(default)]
    cookie: Option<Located<String>>,
    /// A header of this name, in answers and requests, for programs.
    #[serde(default)]
    header: Option<Located<String>>,
    /// What it is signed with, as `${VARIABLE}`; at least 16 bytes, and the
    /// same in all gateways.
    secret: Located<String>,
}

/// The token that clients bring back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadYourWrites {
    /// Where it is.
    pub carrier: TokenCarrier,
    /// What it is signed with.
    pub secret: Secret,
}

/// Where a token is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenCarrier {
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
    let carrier = match (&file.cookie, &file.header) {
        (Some(name), None) => TokenCarrier::Cookie(parse(name, environment, token)?),
        (None, Some(name)) => {
            TokenCarrier::Header(parse(name, environment, token)?.to_ascii_lowercase())
        }
        _ => {
            return Err(PlanError::at(
                at,
                "`read-your-writes` needs exactly one of `cookie` and `header`",
            ));
        }
    };
    let is_the_key = match (&carrier, key) {
        (TokenCarrier::Cookie(name), CohortKey::Cookie(key))
        | (TokenCarrier::Header(name), CohortKey::Header(key)) => name == key,
        _ => false,
    };
    if is_the_key {
        let message = "the token would be what clients are known by, and it changes";
        return Err(PlanError::at(at, message).remedy("Give the token a name of its own"));
    }
    Ok(ReadYourWrites {
        carrier,
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

/// Tokens of two extractions in one place would replace each other.
pub(crate) fn carriers_once(
    extractions: &BTreeMap<ExtractionName, Extraction>,
) -> Result<(), PlanError> {
    let mut places = BTreeMap::new();
    for extraction in extractions.values() {
        let moves = extraction.data.replicate();
        let Some(token) = moves.and_then(|data| data.read_your_writes.as_ref()) else {
            continue;
        };
        if let Some(other) = places.insert(&token.carrier, &extraction.name) {
            let message = format!(
                "the tokens of `{other}` and `{}` are in one place and replace each other",
                extraction.name
            );
            return Err(
                PlanError::whole(message).remedy("Name another cookie or header in one of them")
            );
        }
    }
    Ok(())
}

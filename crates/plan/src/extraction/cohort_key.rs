//! What clients are told apart by: `rollout.key`.

use crate::{
    base::{Environment, PlanError, Text, header_name, http_token, parse},
    route::Route,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::fmt;

/// What a client is known by: exactly one of these.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum KeyFile {
    /// The value of a request header.
    Header(Text),
    /// The value of a cookie.
    Cookie(Text),
    /// A parameter of the routes' paths.
    Path(Text),
    /// A parameter of the query.
    Query(Text),
    /// The client's address.
    Address,
    /// A claim of its JSON web token, which `jwt` must demand of the
    /// extraction's requests.
    Claim(Text),
}

/// What a client is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CohortKey {
    /// Nothing: every client stays with the owner.
    None,
    /// The value of this header, lower case.
    Header(String),
    /// The value of this cookie.
    Cookie(String),
    /// This parameter of the route's path.
    Path(String),
    /// This parameter of the query.
    Query(String),
    /// The client's address.
    Address,
    /// This claim of the verified token.
    Claim(String),
}

impl fmt::Display for CohortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("nothing"),
            Self::Header(name) => write!(f, "the header `{name}`"),
            Self::Cookie(name) => write!(f, "the cookie `{name}`"),
            Self::Path(name) => write!(f, "`{{{name}}}` in the path"),
            Self::Query(name) => write!(f, "`{name}` in the query"),
            Self::Address => f.write_str("the client's address"),
            Self::Claim(name) => write!(f, "the claim `{name}` of the token"),
        }
    }
}

pub(super) fn resolve(
    file: &KeyFile,
    routes: &[Route],
    environment: Environment<'_>,
) -> Result<CohortKey, PlanError> {
    let any = |text: &str| {
        (!text.is_empty())
            .then(|| text.to_owned())
            .ok_or_else(|| "a name is missing".to_owned())
    };
    Ok(match file {
        KeyFile::Header(name) => CohortKey::Header(parse(name, environment, header_name)?),
        KeyFile::Cookie(name) => CohortKey::Cookie(parse(name, environment, http_token)?),
        KeyFile::Query(name) => CohortKey::Query(parse(name, environment, any)?),
        KeyFile::Address => CohortKey::Address,
        KeyFile::Claim(name) => CohortKey::Claim(parse(name, environment, any)?),
        KeyFile::Path(text) => {
            let name = parse(text, environment, any)?;
            if let Some(route) = routes.iter().find(|route| !route.path.has_parameter(&name)) {
                let message = format!("the route `{}` has no parameter {{{name}}}", route.path);
                return Err(PlanError::at(text.at, message).remedy(
                    "Every route of the extraction needs the one that clients are known by",
                ));
            }
            CohortKey::Path(name)
        }
    })
}

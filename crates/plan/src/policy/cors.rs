//! Which pages of other origins may ask: `cors`.

use crate::base::{Environment, Located, PlanError, Text, http_token, parse, time};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

const METHODS: [&str; 6] = ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"];

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

pub(super) fn resolve(
    located: Located<CorsFile>,
    environment: Environment<'_>,
) -> Result<Cors, PlanError> {
    let Located { value: file, at } = located;
    let mut some = Vec::new();
    let mut any = false;
    for text in &file.origins {
        match parse(text, environment, Origin::parse)? {
            Some(origin) => some.push(origin),
            None => any = true,
        }
    }
    if any != some.is_empty() {
        return Err(PlanError::at(
            at,
            "`origins` must be a list of origins, or `*` alone",
        ));
    }
    if any && file.credentials {
        return Err(PlanError::at(
            at,
            "every origin, with credentials, is every page of the web",
        )
        .remedy("List the origins, or leave `credentials` out"));
    }
    let names = |texts: &[Text]| {
        texts
            .iter()
            .map(|text| parse(text, environment, http_token))
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(Cors {
        origins: if any {
            Origins::Any
        } else {
            Origins::Some(some)
        },
        methods: match &file.methods {
            Some(methods) => names(methods)?,
            None => METHODS.map(str::to_owned).to_vec(),
        },
        headers: file.headers.as_deref().map(names).transpose()?,
        exposed: names(&file.exposed)?,
        credentials: file.credentials,
        max_age: file.max_age.as_ref().map(time).transpose()?,
    })
}

impl Origin {
    /// Parses an origin; `None` is `*`.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, String> {
        if text == "*" {
            return Ok(None);
        }
        let wrong = || {
            format!("`{text}` is no origin: write https://example.org, https://*.example.org or *")
        };
        let text = text.to_ascii_lowercase();
        let (scheme, host) = text.split_once("://").ok_or_else(wrong)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        let named = |name: &str| !name.is_empty() && name.bytes().all(plain);
        if !named(scheme) {
            return Err(wrong());
        }
        if let Some(below) = host.strip_prefix("*.") {
            return if named(below) {
                Ok(Some(Self::Below {
                    scheme: format!("{scheme}://"),
                    suffix: format!(".{below}"),
                }))
            } else {
                Err(wrong())
            };
        }
        if named(host) {
            Ok(Some(Self::Exact(text)))
        } else {
            Err(wrong())
        }
    }

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

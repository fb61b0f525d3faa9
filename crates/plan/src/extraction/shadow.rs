//! Copies of requests whose answers are compared, or that only try a service
//! out.

use crate::{
    base::{
        Environment, Located, Percent, PlanError, ScalarOrMap, ServiceName, Text, UpstreamUrl,
        header_name, parse,
    },
    upstream::Upstream,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{collections::BTreeMap, fmt, net::IpAddr};

/// What is said of a declaration is a line that people read.
const WORDS_BYTES_MAX: usize = 300;

/// Copies of requests whose answers are compared.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ShadowFile {
    /// The share of requests that are copied, `0.01%` to `100%`.
    pub(crate) share: Text,
    /// What may differ: places in JSON documents as `$.a[*].b`, with all that
    /// is below them, and `header NAME`. Each as it is, or with who says so and why.
    #[serde(default)]
    pub(crate) ignore: Vec<Located<ScalarOrMap<VolatileFile>>>,
    /// Show the values that differ, not only their kinds (default false).
    #[serde(default)]
    pub(crate) show_values: bool,
    /// `http://host:port` of an instance with data of its own that may be
    /// spoiled: writes are copied to it. Without it they are not copied.
    #[serde(default)]
    pub(crate) scratch: Option<Text>,
}

/// What may differ, with who says so and why.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VolatileFile {
    /// A place as `$.a[*].b`, or `header NAME`.
    pub(crate) place: Text,
    /// Who has declared it.
    #[serde(default)]
    pub(crate) by: Option<Text>,
    /// Why it may differ.
    #[serde(default)]
    pub(crate) because: Option<Text>,
}

/// Copies of requests whose answers are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadow {
    /// The share of requests that are copied.
    pub share: Percent,
    /// What may differ.
    pub ignore: Vec<DeclaredVolatile>,
    /// Whether the values that differ are shown, and not only their kinds.
    pub show_values: bool,
    /// Where writes are copied to, with data of its own.
    pub scratch: Option<UpstreamUrl>,
}

/// What somebody has declared volatile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredVolatile {
    /// What.
    pub place: Ignored,
    /// Who.
    pub by: Option<String>,
    /// Why.
    pub because: Option<String>,
}

/// What two answers may differ in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ignored {
    /// A place in a JSON document, as `$.a[*].b`, and all below it.
    Field(String),
    /// A header, lower case.
    Header(String),
}

/// As it is parsed.
impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(path) => f.write_str(path),
            Self::Header(name) => write!(f, "header {name}"),
        }
    }
}

impl Ignored {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix("header ") {
            return header_name(name.trim()).map(Self::Header);
        }
        let wrong =
            || format!("`{text}` is no place: write $.a, $.a[*].b for all items, or `header NAME`");
        let mut rest = text.strip_prefix('$').ok_or_else(wrong)?;
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix("[*]") {
                rest = after;
                continue;
            }
            let name = rest.strip_prefix('.').ok_or_else(wrong)?;
            let end = name.find(['.', '[']).unwrap_or(name.len());
            if end == 0 {
                return Err(wrong());
            }
            rest = &name[end..];
        }
        Ok(Self::Field(text.to_owned()))
    }
}

/// Reads what the plan says of an extraction's copies.
pub(crate) fn resolve(
    file: &ShadowFile,
    monolith: &Upstream,
    services: &BTreeMap<ServiceName, Upstream>,
    environment: Environment<'_>,
) -> Result<Shadow, PlanError> {
    let share = parse(&file.share, environment, Percent::parse)?;
    if share == Percent::ZERO {
        return Err(PlanError::at(file.share.at, "a share of 0% copies nothing")
            .remedy("Leave `shadow` out, or write a larger share"));
    }
    let ignored = |one| declared(one, environment);
    let scratch = |text: &Text| scratch(text, monolith, services, environment);
    Ok(Shadow {
        share,
        ignore: file.ignore.iter().map(ignored).collect::<Result<_, _>>()?,
        show_values: file.show_values,
        scratch: file.scratch.as_ref().map(scratch).transpose()?,
    })
}

fn declared(
    Located { value, at }: &Located<ScalarOrMap<VolatileFile>>,
    environment: Environment<'_>,
) -> Result<DeclaredVolatile, PlanError> {
    let place = |text: &Text| parse(text, environment, Ignored::parse);
    let line = |text: &Option<Text>| {
        let text = text.as_ref();
        text.map(|text| parse(text, environment, line)).transpose()
    };
    Ok(match value {
        ScalarOrMap::Scalar(text) => DeclaredVolatile {
            place: place(&Located {
                value: text.clone(),
                at: *at,
            })?,
            by: None,
            because: None,
        },
        ScalarOrMap::Map(file) => DeclaredVolatile {
            place: place(&file.place)?,
            by: line(&file.by)?,
            because: line(&file.because)?,
        },
    })
}

fn line(text: &str) -> Result<String, String> {
    let is_line = (1..=WORDS_BYTES_MAX).contains(&text.len()) && !text.contains(char::is_control);
    if is_line && !text.trim().is_empty() {
        return Ok(text.to_owned());
    }
    Err(format!(
        "who has declared it, and why, is one line of at most {WORDS_BYTES_MAX} bytes"
    ))
}

/// A copied write must reach nobody who keeps real data.
fn scratch(
    text: &Text,
    monolith: &Upstream,
    services: &BTreeMap<ServiceName, Upstream>,
    environment: Environment<'_>,
) -> Result<UpstreamUrl, PlanError> {
    let url = parse(text, environment, UpstreamUrl::parse)?;
    let named = services.iter().map(|(name, one)| (name.as_str(), one));
    for (name, upstream) in std::iter::once(("monolith", monolith)).chain(named) {
        if upstream.instances().any(|instance| is_same(instance, &url)) {
            let message =
                format!("`{url}` is `{name}` itself: copied writes would change its data");
            return Err(PlanError::at(text.at, message)
                .remedy("Name an instance with a database of its own, that may be spoiled"));
        }
    }
    Ok(url)
}

/// As far as one can tell without asking: names may hide the same address.
fn is_same(one: &UpstreamUrl, other: &UpstreamUrl) -> bool {
    let is_local = |url: &UpstreamUrl| {
        let host = url.host.trim_start_matches('[').trim_end_matches(']');
        let address = host.parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    };
    one.socket == other.socket
        && one.port == other.port
        && (one.host == other.host || (is_local(one) && is_local(other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_differ_is_a_place_or_a_header() {
        for text in ["$", "$.a", "$.items[*].updated_at", "$[*]", "$[*].a-b"] {
            assert_eq!(Ignored::parse(text), Ok(Ignored::Field(text.to_owned())));
        }
        let header = Ok(Ignored::Header("x-total".to_owned()));
        assert_eq!(Ignored::parse("header X-Total"), header);
        for text in ["", "a", "$a", "$.", "$..a", "$.a[0]", "$.a[*", "header a b"] {
            assert!(Ignored::parse(text).is_err(), "{text}");
        }
    }
}

//! Operations that share one path and are told apart by the body.

use crate::base::{ByteSize, Environment, Located, PlanError, Text, parse, size};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{cmp::Ordering, fmt};

/// Which operations of a path belong to a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operations {
    /// Where a request says what it asks for.
    pub dialect: Dialect,
    /// Those that belong to the route; at least one.
    pub names: Vec<NamePattern>,
    /// The largest body that is read to see what it asks for. Of the routes that share
    /// a path the largest counts.
    pub bytes: ByteSize,
}

/// Where a request says what it asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// In this field of a JSON object, or of each object of an array:
    /// `method` of JSON-RPC.
    Json(String),
    /// In the fields that a GraphQL document asks of its root.
    GraphQl,
    /// In the `methodName` of an XML-RPC call.
    XmlRpc,
}

/// The largest body that is read to be routed, where the plan says nothing: forms and
/// calls are far smaller, those with attachments may not be.
const BYTES: u64 = 1 << 20;

/// A quarter of what one worker has in memory of bodies.
const BYTES_MAX: u64 = 16 << 20;

/// `contracts.get`, or `contracts.*` for all that begin so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamePattern {
    /// Exactly this name.
    Exact(String),
    /// Every name that begins so.
    Prefix(String),
}

/// Operations that share one path: of JSON with `json` and `is`, of GraphQL
/// with `graphql`, of XML-RPC with `xml-rpc`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OperationFile {
    /// The field of the JSON body, or of each object of a batch, that names
    /// the operation: `method` for JSON-RPC.
    #[serde(default)]
    pub(crate) json: Option<Text>,
    /// The names: `contracts.get`, or `contracts.*` for all that begin so.
    #[serde(default)]
    pub(crate) is: Vec<Text>,
    /// Fields of GraphQL's query and mutation types, or `contract*` for all
    /// that begin so.
    #[serde(default)]
    pub(crate) graphql: Vec<Text>,
    /// Methods of XML-RPC, or `contracts.*` for all that begin so.
    #[serde(default)]
    pub(crate) xml_rpc: Vec<Text>,
    /// The largest body that is read to tell the operation (default 1MiB, at most 16MiB);
    /// 413 above. Of routes that share a path the largest counts.
    #[serde(default)]
    pub(crate) bytes: Option<Text>,
}

impl Operations {
    pub(crate) fn resolve(
        located: Located<OperationFile>,
        environment: Environment<'_>,
    ) -> Result<Self, PlanError> {
        let Located { value: file, at } = located;
        let OperationFile {
            json,
            is,
            graphql,
            xml_rpc,
            bytes,
        } = file;
        let said = [&is, &graphql, &xml_rpc].map(|names| !names.is_empty());
        let (dialect, names) = match (json, said) {
            (Some(field), [true, false, false]) => {
                (Dialect::Json(parse(&field, environment, field_name)?), is)
            }
            (None, [false, true, false]) => (Dialect::GraphQl, graphql),
            (None, [false, false, true]) => (Dialect::XmlRpc, xml_rpc),
            _ => {
                return Err(
                    PlanError::at(at, "it is not clear where the operation is named").remedy(
                        "Write `json: FIELD` with the names under `is:`, the fields of GraphQL \
                         under `graphql:`, or the methods of XML-RPC under `xml-rpc:`",
                    ),
                );
            }
        };
        let pattern = |one: &Text| parse(one, environment, NamePattern::parse);
        Ok(Self {
            dialect,
            names: names.iter().map(pattern).collect::<Result<_, _>>()?,
            bytes: bytes.as_ref().map_or(Ok(ByteSize(BYTES)), body_bytes)?,
        })
    }

    /// Whether an operation belongs here.
    pub fn own(&self, name: &str) -> bool {
        self.names.iter().any(|own| own.matches(name))
    }

    /// Orders the more specific ones first: names spelled out before those
    /// with `*`, and of these the ones that spell out more. Of several names
    /// the least specific counts.
    pub(crate) fn by_specificity(&self, other: &Self) -> Ordering {
        let least = |own: &Self| own.names.iter().map(NamePattern::spelled_out).min();
        least(other).cmp(&least(self))
    }
}

impl NamePattern {
    /// Parses a pattern.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, prefix) = match text.strip_suffix('*') {
            Some(name) => (name, true),
            None => (text, false),
        };
        if (name.is_empty() && !prefix) || name.contains('*') || name.chars().any(char::is_control)
        {
            return Err(format!(
                "`{text}` is no operation: write contracts.get, or contracts.* for all of them"
            ));
        }
        Ok(if prefix {
            Self::Prefix(name.to_owned())
        } else {
            Self::Exact(name.to_owned())
        })
    }

    /// Whether a name fits, letter by letter.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(own) => name == own,
            Self::Prefix(own) => name.starts_with(own.as_str()),
        }
    }

    fn spelled_out(&self) -> usize {
        match self {
            Self::Exact(_) => usize::MAX,
            Self::Prefix(own) => own.len(),
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Prefix(name) => write!(f, "{name}*"),
        }
    }
}

impl fmt::Display for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.dialect {
            Dialect::Json(field) => write!(f, "{field}=")?,
            Dialect::GraphQl => f.write_str("graphql=")?,
            Dialect::XmlRpc => f.write_str("xml-rpc=")?,
        }
        for (at, name) in self.names.iter().enumerate() {
            write!(f, "{}{name}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

fn body_bytes(text: &Text) -> Result<ByteSize, PlanError> {
    let bytes = size(text)?;
    if (1..=BYTES_MAX).contains(&bytes.0) {
        return Ok(bytes);
    }
    let why = "what is read to tell the operation is in memory: 16MiB at most";
    Err(PlanError::at(text.at, why).remedy("Give what is larger a path of its own"))
}

fn field_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(format!("`{text}` is no field of JSON"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operations(names: &[&str]) -> Operations {
        Operations {
            dialect: Dialect::Json("method".into()),
            names: names
                .iter()
                .map(|name| NamePattern::parse(name).unwrap())
                .collect(),
            bytes: ByteSize(BYTES),
        }
    }

    #[test]
    fn names_are_exact_or_a_beginning() {
        let own = operations(&["contracts.get", "parties.*"]);
        for (name, belongs) in [
            ("contracts.get", true),
            ("contracts.gets", false),
            ("Contracts.get", false),
            ("parties.", true),
            ("parties.a", true),
            ("parties", false),
            ("", false),
        ] {
            assert_eq!(own.own(name), belongs, "{name}");
        }
        assert!(operations(&["*"]).own(""));
        assert_eq!(own.to_string(), "method=contracts.get,parties.*");
        for bad in ["", "a*b", "**", "a\n"] {
            assert!(NamePattern::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_spelled_out_counts_first() {
        let mut all = ["*", "a.b", "a.*", "a.b.*"].map(|name| operations(&[name]));
        all.sort_by(Operations::by_specificity);
        let shown = all.map(|one| one.names[0].to_string());
        assert_eq!(shown, ["a.b", "a.b.*", "a.*", "*"]);
        let mixed = operations(&["a.b.c", "a*"]);
        let order = mixed.by_specificity(&operations(&["a.*"]));
        assert_eq!(order, Ordering::Greater);
    }
}

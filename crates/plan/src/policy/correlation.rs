//! Correlation ids under a name of the team's own: `correlation`.

use crate::base::{Environment, PlanError, Text, header_name, parse};
use schemars::JsonSchema;
use serde::Deserialize;

/// A correlation id under a name of your own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CorrelationFile {
    /// The header.
    pub(crate) header: Text,
    /// How one is made (default uuid).
    #[serde(default)]
    pub(crate) generator: Option<GeneratorFile>,
    /// Whether the client is told it (default false).
    #[serde(default)]
    pub(crate) echo: bool,
}

/// How a correlation id is made.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub enum GeneratorFile {
    /// A UUID of its own.
    #[serde(rename = "uuid")]
    Uuid,
    /// A UUID of the worker, `#`, and a count.
    #[serde(rename = "uuid#counter")]
    UuidCounter,
}

/// A correlation id under a name of the team's own, beside the gateway's
/// `X-Correlation-ID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correlation {
    /// The header, lower case. What a client brings there is passed on.
    pub header: String,
    /// How one is made.
    pub generator: Generator,
    /// Whether the client is told it.
    pub echo: bool,
}

/// How a correlation id is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generator {
    /// A UUID of its own.
    Uuid,
    /// A UUID of the worker, `#`, and a count.
    UuidCounter,
}

pub(super) fn resolve(
    file: &CorrelationFile,
    environment: Environment<'_>,
) -> Result<Correlation, PlanError> {
    Ok(Correlation {
        header: parse(&file.header, environment, header_name)?,
        generator: match file.generator {
            None | Some(GeneratorFile::Uuid) => Generator::Uuid,
            Some(GeneratorFile::UuidCounter) => Generator::UuidCounter,
        },
        echo: file.echo,
    })
}

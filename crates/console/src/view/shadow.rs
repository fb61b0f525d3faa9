//! What comparing both sides' answers has found, as the API has it.

use serde::Deserialize;

/// The gateway's report.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct ShadowReport {
    /// The share of requests that are copied; `None`: none.
    #[serde(default)]
    pub(crate) share: Option<String>,
    #[serde(default)]
    pub(crate) compared: u64,
    /// Of those, from 0 to 1.
    #[serde(default)]
    pub(crate) differing: Option<f64>,
    #[serde(default)]
    pub(crate) fields: Vec<ShadowField>,
    #[serde(default)]
    pub(crate) examples: Vec<ShadowExample>,
    /// What the plan says may differ.
    #[serde(default)]
    pub(crate) declared: Vec<Declaration>,
}

/// A place that the plan says may differ.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Declaration {
    pub(crate) place: String,
    pub(crate) by: Option<String>,
    pub(crate) because: Option<String>,
}

/// A place in the answers of a route.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ShadowField {
    pub(crate) route: String,
    pub(crate) field: String,
    pub(crate) differed: u64,
    pub(crate) changed: u64,
    pub(crate) volatile: bool,
}

/// One difference.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ShadowExample {
    pub(crate) route: String,
    pub(crate) path: String,
    pub(crate) correlation: String,
    pub(crate) field: String,
    pub(crate) monolith: String,
    pub(crate) service: String,
}

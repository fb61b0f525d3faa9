//! What comparing both sides' answers has found, as the API has it.

use super::format;
use serde::Deserialize;

/// The gateway's report.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct ShadowReport {
    /// The share of requests that are copied; `None`: none.
    #[serde(default)]
    pub(crate) share: Option<String>,
    /// Of what was compared, from 0 to 1.
    #[serde(default)]
    pub(crate) differing: Option<f64>,
}

impl ShadowReport {
    /// Of the answers that were compared, how many are the same.
    pub(crate) fn same(&self) -> Option<String> {
        let differing = self.differing?;
        Some(format!(
            "{} same",
            format::percent((1.0 - differing) * 100.0)
        ))
    }
}

//! What steps wait for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A checklist of an extraction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChecklistStatus {
    /// Its name in the plan.
    pub name: String,
    /// Whether all items are.
    pub done: bool,
    /// In the plan's order.
    pub items: Vec<ItemStatus>,
}

/// An item of a checklist.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ItemStatus {
    /// Its name.
    pub name: String,
    /// What has been done then.
    pub text: String,
    /// Whether it is checked; else a person attests it.
    pub automatic: bool,
    /// `done`, `open`, `old`, `failed` or `skipped`.
    pub state: String,
    /// Whether it is being checked right now.
    pub checking: bool,
    /// What its check found last.
    pub found: Option<String>,
    /// When, in milliseconds since 1970.
    pub checked_ms: Option<i64>,
    /// Who attested it, where that counts.
    pub by: Option<String>,
    /// In that person's words.
    pub note: Option<String>,
    /// When, likewise.
    pub attested_ms: Option<i64>,
}

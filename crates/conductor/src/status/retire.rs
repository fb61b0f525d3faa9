//! Whether the old side is used.

use protocol::retire::{OldCaller, TableUse};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A brown-out that lasts: requests for the old side are refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BrownOutStatus {
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
    /// When it ends by itself, likewise.
    pub until_ms: i64,
    /// When clients are told that the old side goes for good, likewise.
    pub sunset_ms: i64,
    /// Who wanted it.
    pub by: String,
}

/// The evidence that nobody uses an old side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetireStatus {
    /// Whether tables and routes were quiet for as long as the plan wants.
    pub enough: bool,
    /// How long that is, in milliseconds.
    pub wanted_ms: i64,
    /// Of the old tables; `None`: nothing was seen yet.
    pub tables: Option<QuietStatus>,
    /// Of the routes at the monolith, as this gateway saw them.
    pub routes: Option<QuietStatus>,
    /// What the monolith's server had counted at the last look.
    pub counts: Option<TableUse>,
    /// Who came by the old ways to it in this life: by the plan's routes with `retires-with`,
    /// and clients that chose the old side.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub callers: Vec<OldCaller>,
    /// Why nothing newer is known.
    pub trouble: Option<String>,
}

/// For how long something was not used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuietStatus {
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
    /// How long that is, by this host's clock and the database's.
    pub quiet_ms: i64,
    /// Why it began then.
    pub because: String,
    /// Whether that is as long as the plan wants.
    pub enough: bool,
}

//! How far each table of an extraction is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A table that moves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TableProgress {
    /// Its name in the monolith.
    pub monolith: String,
    /// Its name in the service.
    pub service: String,
    /// How far its copy is, as far as this process makes it; `None`: it was copied before,
    /// or is not copied yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<TableCopy>,
}

/// How far the copy of a table is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TableCopy {
    /// `waiting`, `copying` or `copied`.
    pub state: String,
    /// Rows copied.
    pub rows_copied: u64,
    /// Rows in all, by the monolith's statistics until it is copied; `None`: they have
    /// nothing of it.
    pub rows_total: Option<u64>,
    /// Bytes copied, as they go over the wire.
    pub bytes: u64,
    /// What its rows take at the monolith, in bytes, without indexes.
    pub size_bytes: u64,
    /// How long it goes on if it goes on like this; `None`: that cannot be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<f64>,
}

/// A table that a verify has compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TableVerified {
    /// Its name in the monolith.
    pub table: String,
    /// Rows compared.
    pub rows: u64,
    /// Rows that differ.
    pub differences: u64,
}

//! How far a copy is.

use plan::TableName;
use serde::Serialize;

/// How far the copy is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CopyProgress {
    /// Rows written so far, also those not committed yet.
    pub rows_copied: u64,
    /// All rows: an estimate of the monolith's statistics at first, corrected
    /// as tables are done.
    pub rows_total: u64,
    /// Bytes moved so far.
    pub bytes: u64,
    /// The table begun last, by its name in the monolith.
    pub table: Option<TableName>,
}

//! What a verification reports: its progress and the differences.

use plan::TableName;
use serde::Serialize;
use std::{collections::BTreeMap, fmt};

/// How far a verification is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerifyProgress {
    /// Rows compared so far, on the owner's side.
    pub rows_verified: u64,
    /// All rows: the owner's statistics at first, corrected as tables are done.
    pub rows_total: u64,
    /// The table being compared, by its name in the monolith.
    pub table: Option<TableName>,
    /// Differences so far.
    pub differences: u64,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VerifyReport {
    /// Rows compared, on the owner's side.
    pub rows: u64,
    /// The same by table.
    pub tables: Vec<TableVerified>,
    /// Tables that were not compared, by their names in the monolith: each side
    /// keeps its own since the switch.
    pub left_out: Vec<TableName>,
    /// The first differences, at most [`MOST_DIFFERENCES_KEPT`].
    pub differences: Vec<Difference>,
    /// All differences.
    pub differences_total: u64,
    /// How long it took.
    pub seconds: f64,
}

/// One table that was compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableVerified {
    /// Its name in the monolith's database.
    pub table: TableName,
    /// Rows compared, on the owner's side.
    pub rows: u64,
    /// Rows that differ.
    #[serde(flatten)]
    pub differing: TableDifferences,
}

/// How the rows of a table differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TableDifferences {
    /// How many.
    pub differences: u64,
    /// How many by kind.
    pub kinds: BTreeMap<DifferenceKind, u64>,
    /// In how many of the changed rows that were looked at each column differs, by its
    /// name in the monolith.
    pub columns: BTreeMap<String, u64>,
    /// How many of the changed rows were looked at, the first ones; at most
    /// [`MOST_ROWS_BY_COLUMN`].
    pub rows_by_column: u64,
}

/// A row on which the sides do not agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The table, by its name in the monolith's database.
    pub table: TableName,
    /// The primary key: the monolith's column names, values as text. For the
    /// operator's eyes, not for logs.
    pub key: Vec<(String, String)>,
    /// What is different.
    pub kind: DifferenceKind,
}

/// How a row differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DifferenceKind {
    /// The owner has it, the other side has not.
    Missing,
    /// The other side has it, the owner has not.
    Extra,
    /// Both have it, with other values.
    Changed,
    /// It changed faster than it could be compared.
    Unsettled,
}

impl DifferenceKind {
    /// Its word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Changed => "changed",
            Self::Unsettled => "unsettled",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.table)?;
        for (column, value) in &self.key {
            write!(f, " {column}={value}")?;
        }
        write!(f, ": {}", self.kind.as_str())
    }
}

/// How many differences a report holds; all are counted.
pub const MOST_DIFFERENCES_KEPT: usize = 1000;

/// In how many changed rows of a table it is looked which columns differ.
pub const MOST_ROWS_BY_COLUMN: u64 = 1000;

//! The data of an extraction: tables that move, and the boundary that they leave
//! behind; or tables that both sides share.

pub(super) mod file;
mod resolve;
mod writer;

pub(super) use resolve::{DataContext, data};
pub use writer::WriterPattern;

use crate::{
    base::{ColumnName, DatabaseUrl, TableName, part},
    extraction::{read_your_writes::ReadYourWrites, switch::Switch},
};
use std::{collections::BTreeMap, fmt};

/// The data of an extraction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// They are copied, followed and handed over.
    Replicate(Box<Replicate>),
    /// Monolith and service work on the same tables of one database: both may
    /// write, and nothing is copied, held, fenced or handed over.
    Shared,
}

impl Data {
    /// What moves, if anything does.
    pub fn replicate(&self) -> Option<&Replicate> {
        match self {
            Self::Replicate(replicate) => Some(replicate),
            Self::Shared => None,
        }
    }
}

/// Data that are copied, then followed, and what there is only for them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::zero_sized_map_values,
    reason = "the plan names each rule of the boundary, though there is one so far"
)]
pub struct Replicate {
    /// The tables, by their name in the monolith.
    pub tables: Vec<TableMapping>,
    /// `application_name`s of the sessions that may write them.
    pub writers: Vec<WriterPattern>,
    /// Foreign keys of tables that stay into tables that move.
    pub references: BTreeMap<ForeignColumn, ForeignKeyRule>,
    /// Between which databases they move.
    pub databases: Databases,
    /// The bounds of a switch and of a rollback.
    pub switch: Switch,
    /// What clients bring back, so that gateways beside this one and after it
    /// show them what they wrote.
    pub read_your_writes: Option<ReadYourWrites>,
}

/// The databases that an extraction moves tables between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Databases {
    /// The monolith's; a direct connection, not a pooler.
    pub monolith: DatabaseUrl,
    /// The service's, likewise.
    pub service: DatabaseUrl,
}

/// One table on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableMapping {
    /// Its name in the monolith's database.
    pub monolith: TableName,
    /// Its name in the service's database.
    pub service: TableName,
    /// Columns whose names differ; all others are called the same.
    pub renames: Vec<ColumnPair>,
    /// Who writes it.
    pub writes: TableWrites,
}

/// Who writes a table of an extraction, and which way its rows flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum TableWrites {
    /// The owner alone; its changes flow to the other side.
    #[default]
    Owner,
    /// Both sides insert, and their rows flow both ways; the owner alone
    /// updates and deletes.
    Append,
    /// The owner alone until the first switch, each side its own from then on;
    /// nothing of it flows any more.
    Split,
}

impl TableWrites {
    /// Its word in the plan.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Append => "append",
            Self::Split => "split",
        }
    }
}

impl fmt::Display for TableWrites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TableMapping {
    /// The service's name of a column of the monolith's.
    pub fn service_column<'a>(&'a self, monolith: &'a str) -> &'a str {
        self.renames
            .iter()
            .find(|pair| pair.monolith.as_str() == monolith)
            .map_or(monolith, |pair| pair.service.as_str())
    }

    /// The monolith's name of a column of the service's.
    pub fn monolith_column<'a>(&'a self, service: &'a str) -> &'a str {
        self.renames
            .iter()
            .find(|pair| pair.service.as_str() == service)
            .map_or(service, |pair| pair.monolith.as_str())
    }
}

/// One column on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnPair {
    /// Its name in the monolith's table.
    pub monolith: ColumnName,
    /// Its name in the service's table.
    pub service: ColumnName,
}

/// A column of a table that stays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForeignColumn {
    /// The table.
    pub table: TableName,
    /// The column.
    pub column: ColumnName,
}

/// What a deletion in a moved table does to a row that stays and refers to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignKeyRule {
    /// It must not happen; following stops with an error if it does.
    Restrict,
}

impl fmt::Display for ForeignColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.table, part(self.column.as_str()))
    }
}

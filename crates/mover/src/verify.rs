//! The proof that both sides agree, row by row, while changes flow from the
//! owner to the other side.
//!
//! **Chunks.** The owner's rows are cut into ranges of the primary key; the
//! last is open, so that what is too much at either end is found. Each side
//! computes a digest of each range: the number of rows and the sum of 64-bit
//! hashes of their text forms, which the sessions' settings make equal for
//! equal values. A range whose digests differ is listed on both sides, key by
//! key ([`walk`]).
//!
//! The ranges are compared in the columns' own order, so that the key's index
//! serves. The sides may order text differently (another version of the C
//! library). That costs time but hides nothing: on either side, whatever its
//! order, each row is in at least one of the ranges, because their bounds
//! begin and end open and each ends where the next begins. So if the rows of
//! every range are the same on both sides, each side's rows are among the
//! other's. Where the collations are different by name the order would have
//! nothing in common, and bytes are compared instead ([`table::Order`]).
//!
//! **Suspects.** Both digests are of different moments, so a row that moved is
//! suspect without being wrong. Suspects are settled ([`settle`]): the owner's
//! row is read, then its log's position taken; once the follower has passed
//! that, the other side's row must be one that the owner has had since.
//!
//! Memory: one range of keys and hashes of each side. Nothing is locked, and
//! no snapshot is older than one statement.

mod settle;
mod table;
mod walk;

use crate::{
    Mover, MoverError,
    catalog::{self, MovedTable},
    connect::Session,
    positions::Sampler,
};
use plan::TableName;
use protocol::{Lsn, Side};
use serde::Serialize;
use settle::Settler;
use std::{fmt, time::Instant};
use table::TableSides;
use tokio::sync::watch;

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

impl Mover {
    /// Compares both sides row by row while `owner` may be written. `applied`
    /// is the follower's: everything of the owner's log before it is on the
    /// other side. Waits for it are bounded; a follower that has stopped is an
    /// error. Changes nothing; cancel safe.
    pub async fn verify(
        &self,
        owner: Side,
        applied: watch::Receiver<Lsn>,
        progress: &watch::Sender<VerifyProgress>,
    ) -> Result<VerifyReport, MoverError> {
        let started = Instant::now();
        let (monolith, service) = tokio::try_join!(
            Session::open(Side::Monolith, self.database(Side::Monolith)),
            Session::open(Side::Service, self.database(Side::Service)),
        )?;
        let moved =
            catalog::moved_tables(&self.extraction.data.tables, &monolith, &service).await?;
        let (ours, theirs) = match owner {
            Side::Monolith => (&monolith, &service),
            Side::Service => (&service, &monolith),
        };
        let mut tables = Vec::with_capacity(moved.len());
        for table in &moved {
            tables.push(TableSides::new(table, ours, theirs).await?);
        }
        let rows_total = tables.iter().map(|table| table.rows_estimated).sum();
        progress.send_replace(VerifyProgress {
            rows_total,
            ..VerifyProgress::default()
        });
        let mut run = Run {
            settler: Settler::new(Sampler::start(owner, self.database(owner)), applied, owner),
            progress,
            report: VerifyReport {
                rows: 0,
                tables: Vec::new(),
                differences: Vec::new(),
                differences_total: 0,
                seconds: 0.0,
            },
        };
        for (sides, table) in tables.iter().zip(&moved) {
            progress.send_modify(|at| at.table = Some(table.mapping.monolith.clone()));
            let rows = Box::pin(run.table(sides, table)).await?;
            run.report.tables.push(TableVerified {
                table: table.mapping.monolith.clone(),
                rows,
            });
        }
        progress.send_modify(|at| at.rows_total = at.rows_verified);
        let mut report = run.report;
        report.seconds = started.elapsed().as_secs_f64();
        tracing::info!(
            extraction = %self.extraction.name,
            rows = report.rows,
            differences = report.differences_total,
            "verified"
        );
        Ok(report)
    }
}

/// A verification under way.
struct Run<'a> {
    settler: Settler,
    progress: &'a watch::Sender<VerifyProgress>,
    report: VerifyReport,
}

impl Run<'_> {
    fn compared(&mut self, rows: u64) {
        self.report.rows += rows;
        self.progress.send_modify(|at| {
            at.rows_verified += rows;
            at.rows_total = at.rows_total.max(at.rows_verified);
        });
    }

    fn differs(&mut self, table: &MovedTable, key: Vec<String>, kind: DifferenceKind) {
        self.report.differences_total += 1;
        self.progress.send_modify(|at| at.differences += 1);
        if self.report.differences.len() < MOST_DIFFERENCES_KEPT {
            let names = table.key_names(Side::Monolith);
            self.report.differences.push(Difference {
                table: table.mapping.monolith.clone(),
                key: names.into_iter().map(ToOwned::to_owned).zip(key).collect(),
                kind,
            });
        }
    }
}

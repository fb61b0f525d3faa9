//! The proof that both sides agree, row by row, while changes flow from the
//! owner to the other side.
//!
//! **Chunks.** The owner's rows are cut into ranges of the primary key; the
//! last is open, so that what is too much at either end is found. Each side
//! computes a digest of each range: the number of rows and the sum of 64-bit
//! hashes of their text forms, which the sessions' settings make equal for
//! equal values. A range whose digests differ is listed on both sides, key by
//! key ([`comparison`]).
//!
//! The ranges are compared in the columns' own order, so that the key's index
//! serves. The sides may order text differently (another version of the C
//! library). That costs time but hides nothing: on either side, whatever its
//! order, each row is in at least one of the ranges, because their bounds
//! begin and end open and each ends where the next begins. So if the rows of
//! every range are the same on both sides, each side's rows are among the
//! other's. Where the collations are different by name the order would have
//! nothing in common, and bytes are compared instead ([`key_columns::KeyOrder`]).
//!
//! **Suspects.** Both digests are of different moments, so a row that moved is
//! suspect without being wrong. Suspects are checked ([`suspects`]): the owner's
//! row is read, then its log's position taken; once the follower has passed
//! that, the other side's row must be one that the owner has had since.
//!
//! **Both ways.** Of a table that both sides insert into, rows may be under way
//! in both streams: its suspects wait for both.
//!
//! Memory: one range of keys and hashes of each side. Nothing is locked, and
//! no snapshot is older than one statement.

mod comparison;
mod key_columns;
mod report;
mod row_hash;
mod shapes;
mod suspects;
mod table_side;

pub use report::{
    Difference, DifferenceKind, MOST_DIFFERENCES_KEPT, MOST_ROWS_BY_COLUMN, TableDifferences,
    TableVerified, VerifyProgress, VerifyReport,
};

use crate::{catalog, error::MoverError, extraction::Mover, objects::owner, positions::Sampler};
use comparison::Comparison;
use plan::TableWrites;
use protocol::{Lsn, Side};
use shapes::Shapes;
use std::time::Instant;
use suspects::{AwaitedStream, SuspectChecker};
use table_side::TableSides;
use tokio::sync::watch;

/// How far the streams are that a verification waits for.
#[derive(Debug, Clone)]
pub struct AppliedStreams {
    /// Everything of the owner's log before it is on the other side.
    pub of_owner: watch::Receiver<Lsn>,
    /// The same of the other side's log: it has rows of tables that both sides
    /// insert into. `None` where no such rows can be under way.
    pub of_other: Option<watch::Receiver<Lsn>>,
}

impl From<watch::Receiver<Lsn>> for AppliedStreams {
    fn from(of_owner: watch::Receiver<Lsn>) -> Self {
        Self {
            of_owner,
            of_other: None,
        }
    }
}

impl Mover {
    /// Compares both sides row by row while `owner` may be written, and leaves
    /// out tables of which each side keeps its own by now. `applied` is the
    /// followers'. Waits for it are bounded; a follower that has stopped is an
    /// error. Changes nothing; cancel safe.
    pub async fn verify(
        &self,
        owner: Side,
        applied: impl Into<AppliedStreams>,
        progress: &watch::Sender<VerifyProgress>,
    ) -> Result<VerifyReport, MoverError> {
        let started = Instant::now();
        let (monolith, service) = self.sessions().await?;
        let mut mappings = self.extraction.data.tables.clone();
        let mut left_out = Vec::new();
        if owner::is_split(&*service, &self.extraction.name).await? {
            let (split, kept): (Vec<_>, Vec<_>) = mappings
                .into_iter()
                .partition(|mapping| mapping.writes == TableWrites::Split);
            left_out.extend(split.into_iter().map(|mapping| mapping.monolith));
            mappings = kept;
        }
        let moved = catalog::moved_tables(&mappings, &monolith, &service).await?;
        let (ours, theirs) = match owner {
            Side::Monolith => (&monolith, &service),
            Side::Service => (&service, &monolith),
        };
        let shapes = Shapes::read(&self.extraction.name, &moved, [&monolith, &service]).await?;
        let mut tables = Vec::with_capacity(moved.len());
        for table in &moved {
            tables.push(TableSides::new(table, ours, theirs).await?);
        }
        let rows_total = tables.iter().map(|table| table.rows_estimated).sum();
        progress.send_replace(VerifyProgress {
            rows_total,
            ..VerifyProgress::default()
        });
        let applied = applied.into();
        let awaited = |source: Side, applied| {
            let sampler = Sampler::start(source, self.database(source));
            AwaitedStream::new(sampler, applied, source)
        };
        let other = applied.of_other.filter(|_| self.extraction.appends());
        let mut comparison = Comparison {
            suspects: SuspectChecker::new(
                awaited(owner, applied.of_owner),
                other.map(|applied| awaited(owner.other(), applied)),
            ),
            progress,
            report: VerifyReport {
                rows: 0,
                tables: Vec::new(),
                left_out,
                differences: Vec::new(),
                differences_total: 0,
                seconds: 0.0,
            },
        };
        for (sides, table) in tables.iter().zip(&moved) {
            progress.send_modify(|at| at.table = Some(table.mapping.monolith.clone()));
            let verified = Box::pin(comparison.table(sides, table)).await?;
            comparison.report.tables.push(verified);
        }
        progress.send_modify(|at| at.rows_total = at.rows_verified);
        let mut report = comparison.report;
        report.seconds = started.elapsed().as_secs_f64();
        if report.differences_total == 0 {
            shapes.proven().await?;
        }
        tracing::info!(
            extraction = %self.extraction.name,
            rows = report.rows,
            differences = report.differences_total,
            "verified"
        );
        Ok(report)
    }
}

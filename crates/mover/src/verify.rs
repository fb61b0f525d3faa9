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
//! nothing in common, and bytes are compared instead ([`table_side::KeyOrder`]).
//!
//! **Suspects.** Both digests are of different moments, so a row that moved is
//! suspect without being wrong. Suspects are checked ([`suspects`]): the owner's
//! row is read, then its log's position taken; once the follower has passed
//! that, the other side's row must be one that the owner has had since.
//!
//! Memory: one range of keys and hashes of each side. Nothing is locked, and
//! no snapshot is older than one statement.

mod comparison;
mod report;
mod suspects;
mod table_side;

pub use report::{
    Difference, DifferenceKind, MOST_DIFFERENCES_KEPT, TableVerified, VerifyProgress, VerifyReport,
};

use crate::{
    catalog, database::session::Session, error::MoverError, extraction::Mover, positions::Sampler,
};
use comparison::Comparison;
use protocol::{Lsn, Side};
use std::time::Instant;
use suspects::SuspectChecker;
use table_side::TableSides;
use tokio::sync::watch;

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
        let mut comparison = Comparison {
            suspects: SuspectChecker::new(
                Sampler::start(owner, self.database(owner)),
                applied,
                owner,
            ),
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
            let rows = Box::pin(comparison.table(sides, table)).await?;
            comparison.report.tables.push(TableVerified {
                table: table.mapping.monolith.clone(),
                rows,
            });
        }
        progress.send_modify(|at| at.rows_total = at.rows_verified);
        let mut report = comparison.report;
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

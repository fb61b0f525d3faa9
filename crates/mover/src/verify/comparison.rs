//! Compares a table chunk by chunk, and lists the chunks that differ.

use super::{
    key_columns::Key,
    report::{Difference, DifferenceKind, MOST_DIFFERENCES_KEPT, VerifyProgress, VerifyReport},
    suspects::SuspectChecker,
    table_side::{CHUNK_ROWS, Digest, Range, TableSides},
};
use crate::{catalog::MovedTable, error::MoverError};
use protocol::Side;
use std::collections::HashMap;
use tokio::sync::watch;

/// A verification that runs.
pub(super) struct Comparison<'a> {
    pub(super) suspects: SuspectChecker,
    pub(super) progress: &'a watch::Sender<VerifyProgress>,
    pub(super) report: VerifyReport,
}

impl Comparison<'_> {
    /// Compares one table; the number of the owner's rows.
    pub(super) async fn table(
        &mut self,
        sides: &TableSides<'_>,
        table: &MovedTable,
    ) -> Result<u64, MoverError> {
        let mut rows = 0;
        let mut range = Range::default();
        loop {
            range.to = sides.owner.boundary(&range, sides.chunk_rows).await?;
            let (ours, theirs) =
                tokio::try_join!(sides.owner.digest(&range), sides.other.digest(&range))?;
            if ours != theirs {
                self.list_both(sides, table, &range, &ours, &theirs).await?;
            }
            rows += ours.rows;
            self.compared(ours.rows);
            if range.to.is_none() {
                return Ok(rows);
            }
            range = Range {
                after: range.to,
                to: None,
            };
        }
    }

    /// Lists a range on both sides, in pieces whose size the side with more
    /// rows sets: memory stays bounded however much is too much.
    async fn list_both(
        &mut self,
        sides: &TableSides<'_>,
        table: &MovedTable,
        range: &Range,
        ours: &Digest,
        theirs: &Digest,
    ) -> Result<(), MoverError> {
        let larger = if ours.rows >= theirs.rows {
            &sides.owner
        } else {
            &sides.other
        };
        let mut rest = range.clone();
        loop {
            let end = larger
                .boundary(&rest, CHUNK_ROWS)
                .await?
                .or_else(|| range.to.clone());
            let piece = Range {
                after: rest.after.take(),
                to: end,
            };
            let (ours, theirs) =
                tokio::try_join!(sides.owner.list(&piece), sides.other.list(&piece))?;
            for (key, kind) in self.suspects.confirm(sides, suspects(ours, theirs)).await? {
                self.differs(table, key, kind);
            }
            if piece.to == range.to {
                return Ok(());
            }
            rest.after = piece.to;
        }
    }

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

/// Keys that the sides do not have in common with the same hash.
fn suspects(ours: Vec<(Key, i64)>, theirs: Vec<(Key, i64)>) -> Vec<Key> {
    let mut theirs: HashMap<Key, i64> = theirs.into_iter().collect();
    let mut suspects: Vec<Key> = ours
        .into_iter()
        .filter(|(key, hash)| theirs.remove(key) != Some(*hash))
        .map(|(key, _)| key)
        .collect();
    suspects.extend(theirs.into_keys());
    suspects.sort();
    suspects
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(&str, i64)]) -> Vec<(Key, i64)> {
        rows.iter()
            .map(|(key, hash)| (vec![(*key).to_owned()], *hash))
            .collect()
    }

    #[test]
    fn whatever_is_not_the_same_on_both_sides_is_suspect() {
        let ours = rows(&[("same", 1), ("changed", 2), ("missing", 3)]);
        let theirs = rows(&[("same", 1), ("changed", 9), ("extra", 4)]);
        let expected: Vec<Key> = ["changed", "extra", "missing"]
            .map(|key| vec![key.to_owned()])
            .into();
        assert_eq!(suspects(ours, theirs), expected);
    }

    #[test]
    fn the_same_rows_are_not() {
        let all = rows(&[("a", 1), ("b", -1)]);
        assert!(suspects(all.clone(), all.into_iter().rev().collect()).is_empty());
    }
}

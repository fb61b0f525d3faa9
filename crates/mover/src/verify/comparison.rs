//! Compares a table chunk by chunk, and lists the chunks that differ.

use super::{
    key_columns::Key,
    report::{
        Difference, DifferenceKind, MOST_DIFFERENCES_KEPT, MOST_ROWS_BY_COLUMN, TableDifferences,
        TableVerified, VerifyProgress, VerifyReport,
    },
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
    /// Compares one table.
    pub(super) async fn table(
        &mut self,
        sides: &TableSides<'_>,
        table: &MovedTable,
    ) -> Result<TableVerified, MoverError> {
        let mut rows = 0;
        let mut differing = TableDifferences::default();
        let mut range = Range::default();
        loop {
            range.to = sides.owner.boundary(&range, sides.chunk_rows).await?;
            let (ours, theirs) =
                tokio::try_join!(sides.owner.digest(&range), sides.other.digest(&range))?;
            if ours != theirs {
                self.list_both(sides, table, &range, (&ours, &theirs), &mut differing)
                    .await?;
            }
            rows += ours.rows;
            self.compared(ours.rows);
            if range.to.is_none() {
                return Ok(TableVerified {
                    table: table.mapping.monolith.clone(),
                    rows,
                    differing,
                });
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
        (ours, theirs): (&Digest, &Digest),
        differing: &mut TableDifferences,
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
            let found = self.suspects.confirm(sides, suspects(ours, theirs)).await?;
            by_column(sides, table, &found, differing).await?;
            for (key, kind) in found {
                *differing.kinds.entry(kind).or_default() += 1;
                differing.differences += 1;
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

/// Counts which columns differ in rows that both sides have.
async fn by_column(
    sides: &TableSides<'_>,
    table: &MovedTable,
    found: &[(Key, DifferenceKind)],
    differing: &mut TableDifferences,
) -> Result<(), MoverError> {
    let left = MOST_ROWS_BY_COLUMN.saturating_sub(differing.rows_by_column);
    let changed = found
        .iter()
        .filter(|(_, kind)| *kind == DifferenceKind::Changed);
    let keys: Vec<Key> = changed.map(|(key, _)| key.clone()).collect();
    let keys = &keys[..keys.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
    if keys.is_empty() {
        return Ok(());
    }
    let (ours, theirs) = tokio::try_join!(
        sides.owner.read_columns(keys),
        sides.other.read_columns(keys)
    )?;
    for row in ours.into_iter().zip(theirs) {
        // One that is gone by now has no columns.
        let (Some(ours), Some(theirs)) = row else {
            continue;
        };
        differing.rows_by_column += 1;
        for (at, column) in table.columns.iter().enumerate() {
            if ours.get(at) != theirs.get(at) {
                let name = column.name(Side::Monolith).to_owned();
                *differing.columns.entry(name).or_default() += 1;
            }
        }
    }
    Ok(())
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

//! Chunk by chunk through a table; into those that differ.

use super::{
    Run,
    table::{CHUNK_ROWS, Digest, Key, Range, TableSides},
};
use crate::{MoverError, catalog::MovedTable};
use std::collections::HashMap;

impl Run<'_> {
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
                self.descend(sides, table, &range, &ours, &theirs).await?;
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
    async fn descend(
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
            for (key, kind) in self.settler.settle(sides, suspects(ours, theirs)).await? {
                self.differs(table, key, kind);
            }
            if piece.to == range.to {
                return Ok(());
            }
            rest.after = piece.to;
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

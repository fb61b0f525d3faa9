//! How far a copy is.

use super::indexes::PUT_OFF_FROM_BYTES;
use plan::TableName;
use serde::Serialize;
use std::time::{Duration, Instant};

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
    /// The same by table, in the order in which they are begun.
    pub tables: Vec<TableProgress>,
}

/// How far the copy of a table is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableProgress {
    /// Its name in the monolith.
    pub table: TableName,
    /// Rows written so far.
    pub rows_copied: u64,
    /// All of them, as the monolith's statistics have it until it is done; `None`:
    /// they have nothing of it.
    pub rows_total: Option<u64>,
    /// What its rows take at the monolith, in bytes, without indexes.
    pub size_bytes: u64,
    /// Bytes moved so far.
    pub bytes: u64,
    /// Where it is.
    pub stage: TableStage,
}

/// Where the copy of a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableStage {
    /// Others come first.
    Waiting,
    /// It is under way.
    Copying(#[serde(skip)] Instant),
    /// Its rows are there, and indexes are built that were put off.
    Indexing,
    /// It is copied.
    Done,
}

impl TableProgress {
    /// How long it goes on if it goes on as it has gone so far; `None` where nothing says
    /// how many rows there are, or none has come yet.
    pub fn to_go(&self, now: Instant) -> Option<Duration> {
        let TableStage::Copying(since) = self.stage else {
            return None;
        };
        let left = self.rows_total?.checked_sub(self.rows_copied)?;
        if self.rows_copied == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let part = left as f64 / self.rows_copied as f64;
        let taken = now.saturating_duration_since(since).as_secs_f64();
        Duration::try_from_secs_f64(taken * part).ok()
    }
}

impl CopyProgress {
    /// None copied, all estimated.
    pub(super) fn beginning(tables: Vec<TableProgress>) -> Self {
        Self {
            rows_total: tables.iter().filter_map(|one| one.rows_total).sum(),
            tables,
            ..Self::default()
        }
    }

    /// All rows are there.
    pub(super) fn indexing(&mut self) {
        let tables = self.tables.iter_mut();
        for one in tables.filter(|one| one.size_bytes >= PUT_OFF_FROM_BYTES) {
            one.stage = TableStage::Indexing;
        }
    }

    /// All of it.
    pub(super) fn done(&mut self) {
        for one in &mut self.tables {
            one.stage = TableStage::Done;
        }
    }

    pub(super) fn of(&mut self, table: &TableName) -> Option<&mut TableProgress> {
        self.tables.iter_mut().find(|one| one.table == *table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_go_needs_an_estimate_and_a_row() {
        let since = Instant::now();
        let now = since + Duration::from_secs(30);
        let to_go = |rows_copied, rows_total, stage| {
            let table = TableProgress {
                table: TableName::parse("public.orders").unwrap(),
                rows_copied,
                rows_total,
                size_bytes: 1,
                bytes: 1,
                stage,
            };
            table.to_go(now)
        };
        let copying = TableStage::Copying(since);
        assert_eq!(to_go(25, Some(100), copying), Some(Duration::from_secs(90)));
        assert_eq!(to_go(100, Some(100), copying), Some(Duration::ZERO));
        // The statistics were wrong: nothing is known of how many are left.
        assert_eq!(to_go(101, Some(100), copying), None);
        assert_eq!(to_go(25, None, copying), None);
        assert_eq!(to_go(0, Some(100), copying), None);
        assert_eq!(to_go(0, Some(100), TableStage::Waiting), None);
        assert_eq!(to_go(100, Some(100), TableStage::Done), None);
    }
}

//! How far each table is, from the mover's words into the conductor's.

use conductor::ports::{TableCopy, TableProgress, TableVerified};
use mover::{
    Mover,
    copy::{self, CopyProgress, TableStage},
    verify::VerifyReport,
};
use std::time::{Duration, Instant};

/// All tables of an extraction.
pub(super) fn tables(mover: &Mover, progress: &CopyProgress) -> Vec<TableProgress> {
    let now = Instant::now();
    let tables = mover.extraction().data.tables.iter();
    let table = |table: &plan::TableMapping| {
        let of = |one: &&copy::TableProgress| one.table == table.monolith;
        TableProgress {
            monolith: table.monolith.to_string(),
            service: table.service.to_string(),
            copy: progress.tables.iter().find(of).map(|one| copied(one, now)),
        }
    };
    tables.map(table).collect()
}

fn copied(one: &copy::TableProgress, now: Instant) -> TableCopy {
    let state = match one.stage {
        TableStage::Waiting => "waiting",
        TableStage::Copying(_) => "copying",
        TableStage::Indexing => "indexing",
        TableStage::Done => "copied",
    };
    TableCopy {
        state: state.to_owned(),
        rows_copied: one.rows_copied,
        rows_total: one.rows_total,
        bytes: one.bytes,
        size_bytes: one.size_bytes,
        seconds_left: one.to_go(now).as_ref().map(Duration::as_secs_f64),
    }
}

/// The tables that were compared.
pub(super) fn verified(report: &VerifyReport) -> Vec<TableVerified> {
    let table = |one: &mover::verify::TableVerified| TableVerified {
        table: one.table.to_string(),
        rows: one.rows,
        differences: one.differing.differences,
    };
    report.tables.iter().map(table).collect()
}

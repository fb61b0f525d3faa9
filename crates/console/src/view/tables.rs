//! The tables of an extraction: how far their copies are, and whether both sides were
//! proven to have the same rows.

use super::format;
use conductor::{
    ports::{TableCopy, TableProgress},
    status::ExtractionStatus,
};

/// A table.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TableRow {
    pub(crate) monolith: String,
    pub(crate) service: String,
    /// What is particular about it.
    pub(crate) chip: Option<&'static str>,
    /// Of 100, for the bar; `None`: it cannot be said.
    pub(crate) width: Option<String>,
    pub(crate) copied: String,
    pub(crate) size: String,
    pub(crate) to_go: String,
    pub(crate) proven: String,
    pub(crate) differing: String,
    pub(crate) differs: bool,
}

const DASH: &str = "–";

/// All tables, in the plan's order.
pub(crate) fn rows(one: &ExtractionStatus, now_ms: i64) -> Vec<TableRow> {
    let tables = one.progress.tables.iter();
    tables.map(|table| row(one, table, now_ms)).collect()
}

fn row(one: &ExtractionStatus, table: &TableProgress, now_ms: i64) -> TableRow {
    let verify = one.last_verify.as_ref();
    let compared = verify.map(|last| &last.tables);
    let compared = compared.and_then(|all| all.iter().find(|it| it.table == table.monolith));
    let proven = match (verify, compared) {
        (None, _) => "not yet".to_owned(),
        // Its tables were not kept before they were shown.
        (Some(last), None) if !last.tables.is_empty() => "not compared".to_owned(),
        (Some(last), _) => format::ago(now_ms, last.at_ms),
    };
    let differing = compared.map(|it| it.differences);
    let row = TableRow {
        monolith: table.monolith.clone(),
        service: table.service.clone(),
        chip: chip(one, table),
        proven,
        differing: differing.map_or_else(|| DASH.to_owned(), format::count),
        differs: differing.is_some_and(|count| count > 0),
        size: DASH.to_owned(),
        to_go: DASH.to_owned(),
        ..TableRow::default()
    };
    match &table.copy {
        Some(copy) => copying(row, copy),
        None => not_copying(row, one, table, compared.map(|it| it.rows)),
    }
}

fn chip(one: &ExtractionStatus, table: &TableProgress) -> Option<&'static str> {
    if one.joining.contains(&table.monolith) {
        return Some("being added");
    }
    let mut shared = one.progress.shared_tables.iter();
    let shared = shared.find(|it| it.table == table.monolith)?;
    Some(if shared.writes == "append" {
        "append-shared"
    } else {
        "split"
    })
}

/// What this process copies, or has copied.
fn copying(row: TableRow, copy: &TableCopy) -> TableRow {
    let (state, done) = (copy.state.as_str(), format::count(copy.rows_copied));
    let copied = match (state, copy.rows_total) {
        ("copied", _) => format!("{done} rows"),
        ("indexing", _) => format!("{done} rows, building indexes"),
        ("waiting", Some(all)) => format!("waits, about {} rows", format::count(all)),
        ("waiting", None) => "waits, no estimate".to_owned(),
        (_, Some(all)) if all >= copy.rows_copied => {
            format!("{done} of about {}", format::count(all))
        }
        (_, Some(_)) => format!("{done} rows, more than estimated"),
        (_, None) => format!("{done} rows, no estimate"),
    };
    let left = copy.seconds_left.map(format::seconds);
    TableRow {
        width: share(copy).map(|share| format!("{share:.2}")),
        copied,
        size: match state {
            "waiting" => format::bytes(copy.size_bytes),
            "copied" | "indexing" => format::bytes(copy.bytes),
            _ => format!(
                "{} of {}",
                format::bytes(copy.bytes),
                format::bytes(copy.size_bytes)
            ),
        },
        to_go: match (state, left) {
            ("copied", _) => DASH.to_owned(),
            (_, Some(left)) => format!("about {left}"),
            ("copying", None) => "no estimate".to_owned(),
            (_, None) => DASH.to_owned(),
        },
        ..row
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn share(copy: &TableCopy) -> Option<f64> {
    match (copy.state.as_str(), copy.rows_total) {
        ("copied" | "indexing", _) => Some(100.0),
        ("waiting", _) => Some(0.0),
        (_, Some(all)) if all >= copy.rows_copied && all > 0 => {
            Some(100.0 * copy.rows_copied as f64 / all as f64)
        }
        _ => None,
    }
}

/// What another process has copied, or what is still to come.
fn not_copying(
    row: TableRow,
    one: &ExtractionStatus,
    table: &TableProgress,
    compared: Option<u64>,
) -> TableRow {
    let (width, copied) = match one.phase.as_str() {
        "" => (None, "not known yet".to_owned()),
        "planned" => (Some("0"), "not begun".to_owned()),
        "preparing" | "copying" => (Some("0"), "waits".to_owned()),
        _ if one.joining.contains(&table.monolith) => (Some("0"), "waits".to_owned()),
        _ => match compared {
            Some(rows) => (Some("100"), format!("{} rows", format::count(rows))),
            None => (Some("100"), "copied earlier".to_owned()),
        },
    };
    TableRow {
        width: width.map(str::to_owned),
        copied,
        ..row
    }
}

/// What each table is in words, where that is not said by its row.
pub(crate) fn notes(one: &ExtractionStatus) -> Vec<String> {
    let shared = one.progress.shared_tables.iter().map(|table| {
        let what = if table.writes == "append" {
            "both sides add rows; they flow both ways"
        } else if table.flows && one.owner != "service" {
            "copied and followed; each side keeps its own from the switch on"
        } else {
            "each side keeps its own; nothing of it flows"
        };
        format!("{}: {what}", table.table)
    });
    shared.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor::{
        ports::{Progress, TableVerified},
        status::VerifyStatus,
    };

    fn shown(phase: &str, copy: Option<TableCopy>, verify: Option<VerifyStatus>) -> TableRow {
        let one = ExtractionStatus {
            phase: phase.to_owned(),
            progress: Progress {
                tables: vec![TableProgress {
                    monolith: "public.orders".to_owned(),
                    service: "shop.orders".to_owned(),
                    copy,
                }],
                ..Progress::default()
            },
            last_verify: verify,
            ..ExtractionStatus::default()
        };
        rows(&one, 60_000).remove(0)
    }

    fn copy(state: &str, rows_copied: u64, rows_total: Option<u64>, left: Option<f64>) -> TableRow {
        let copy = TableCopy {
            state: state.to_owned(),
            rows_copied,
            rows_total,
            bytes: 2_048,
            size_bytes: 8_192,
            seconds_left: left,
        };
        shown("copying", Some(copy), None)
    }

    #[test]
    fn a_copy_says_how_far_it_is_and_where_nothing_says_how_far_that_is() {
        for (row, width, copied, to_go) in [
            (
                copy("copying", 1_000, Some(4_000), Some(180.0)),
                Some("25.00"),
                "1,000 of about 4,000",
                "about 3 min",
            ),
            (
                copy("copying", 1_000, None, None),
                None,
                "1,000 rows, no estimate",
                "no estimate",
            ),
            (
                copy("copying", 9, Some(4), None),
                None,
                "9 rows, more than estimated",
                "no estimate",
            ),
            (
                copy("waiting", 0, Some(4_000), None),
                Some("0.00"),
                "waits, about 4,000 rows",
                "–",
            ),
            (
                copy("copied", 4_100, Some(4_100), None),
                Some("100.00"),
                "4,100 rows",
                "–",
            ),
            (shown("planned", None, None), Some("0"), "not begun", "–"),
            (
                shown("following", None, None),
                Some("100"),
                "copied earlier",
                "–",
            ),
        ] {
            assert_eq!(row.width.as_deref(), width, "{row:?}");
            assert_eq!(row.copied, copied);
            assert_eq!(row.to_go, to_go, "{row:?}");
            assert_eq!(row.proven, "not yet");
        }
    }

    #[test]
    fn a_proof_is_of_the_tables_that_were_compared() {
        let verify = |table: &str, differences| VerifyStatus {
            at_ms: 30_000,
            tables: vec![TableVerified {
                table: table.to_owned(),
                rows: 7,
                differences,
            }],
            ..VerifyStatus::default()
        };
        let row = shown("following", None, Some(verify("public.orders", 2)));
        assert_eq!(
            (row.proven.as_str(), row.differing.as_str(), row.differs),
            ("30 s ago", "2", true)
        );
        assert_eq!(row.copied, "7 rows");
        let row = shown("following", None, Some(verify("public.others", 2)));
        assert_eq!(
            (row.proven.as_str(), row.differing.as_str()),
            ("not compared", "–")
        );
        let kept_before = VerifyStatus {
            at_ms: 30_000,
            ..VerifyStatus::default()
        };
        let row = shown("following", None, Some(kept_before));
        assert_eq!(
            (row.proven.as_str(), row.differing.as_str()),
            ("30 s ago", "–")
        );
    }
}

//! The tables that end a migration.

use super::report::Report;
use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, Table, presets};

const WIDTH: u16 = 80;

impl Report {
    /// What was expected, the phases, the decisions, and the problems.
    pub fn summary(&self) -> String {
        let mut lines = vec![
            expectations(self).to_string(),
            phases(self).to_string(),
            numbers(self).to_string(),
        ];
        lines.extend(self.problems.iter().map(|text| format!("PROBLEM  {text}")));
        lines.join("\n")
    }
}

fn expectations(report: &Report) -> Table {
    let mut table = table();
    table.set_header(["expected", "", "found"].map(Cell::new));
    for one in &report.expectations {
        let (word, color) = if one.met {
            ("yes", Color::Green)
        } else {
            ("NO", Color::Red)
        };
        table.add_row(vec![
            Cell::new(&one.what),
            Cell::new(word).fg(color),
            Cell::new(&one.found),
        ]);
    }
    table
}

fn phases(report: &Report) -> Table {
    let mut table = table();
    let columns = [
        "phase", "s", "requests", "failed", "contr.", "docum.", "p50", "p95 ms",
    ];
    table.set_header(columns.map(Cell::new));
    for phase in &report.phases {
        table.add_row(vec![
            Cell::new(&phase.name),
            right(format!("{:.0}", phase.seconds)),
            right(phase.requests.to_string()),
            right(phase.failed.to_string()),
            right(format!("{:.0} %", phase.contracts_by_service * 100.0)),
            right(format!("{:.0} %", phase.documents_by_service * 100.0)),
            right(format!("{:.0}", phase.p50_ms)),
            right(format!("{:.0}", phase.p95_ms)),
        ]);
    }
    table
}

fn numbers(report: &Report) -> Table {
    let mut table = table();
    let committed = report.handovers.iter();
    let committed = committed.filter(|one| one.handover.is_committed()).count();
    let undone = report.handovers.len() - committed;
    let users = &report.users;
    let rows = [
        ("requests", report.requests_total.to_string()),
        (
            "writes acknowledged",
            report.writes_acknowledged.to_string(),
        ),
        (
            "users registered, passwords changed",
            format!("{}, {}", users.registered, users.passwords_changed),
        ),
        (
            "rows compared by the auditor, by verify",
            format!("{}, {}", report.rows_compared, report.verify_rows),
        ),
        (
            "hand-overs done, undone and asked for again",
            format!("{committed}, {undone}"),
        ),
        ("held at most", format!("{:.0} ms", report.hold_ms_max)),
    ];
    for (name, value) in rows {
        table.add_row(vec![Cell::new(name), right(value)]);
    }
    table
}

fn table() -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH);
    table
}

fn right(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fits_the_width_and_says_what_was_not_so() {
        let mut report = Report::default();
        let found = "never, within 120 s of the service being slow and of clients waiting for it";
        report.expect(
            "contracts lost their share by themselves, within the step",
            false,
            found,
        );
        let text = report.summary();
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        assert!(text.contains("NO"), "{text}");
    }
}

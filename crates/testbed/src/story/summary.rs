//! The tables that end the story.

use super::outcome::StoryOutcome;
use super::report::Report;
use comfy_table::{Cell, CellAlignment, Color, Table, presets};

const WIDTH: u16 = 80;

impl StoryOutcome {
    /// Both tables, the warnings, and the verdict.
    pub fn summary(&self) -> String {
        let mut lines = vec![
            phases(&self.report).to_string(),
            totals(&self.report).to_string(),
        ];
        let warnings = self.report.warnings();
        for (word, texts) in [
            ("PROBLEM", &self.problems),
            ("warning", &warnings),
            ("failure", &self.failures),
        ] {
            lines.extend(texts.iter().map(|text| format!("{word}  {text}")));
        }
        lines.join("\n")
    }
}

fn phases(report: &Report) -> Table {
    let mut table = table();
    table.set_header(
        [
            "phase",
            "s",
            "requests",
            "failed",
            "by service",
            "p50 ms",
            "p95 ms",
        ]
        .map(Cell::new),
    );
    for phase in &report.phases {
        table.add_row(vec![
            Cell::new(&phase.name),
            right(format!("{:.1}", phase.seconds)),
            right(phase.requests.to_string()),
            judged(phase.failed),
            right(format!("{:.0} %", phase.service_share_of_reads * 100.0)),
            right(format!("{:.1}", phase.p50_ms)),
            right(format!("{:.1}", phase.p95_ms)),
        ]);
    }
    table
}

fn totals(report: &Report) -> Table {
    let mut table = table();
    table.set_header(["must be 0", "", "measured", ""].map(Cell::new));
    let measured = [
        ("requests", report.requests_total.to_string()),
        (
            "writes acknowledged",
            report.writes_acknowledged.to_string(),
        ),
        ("rows copied", report.rows_copied.to_string()),
        ("rows followed", report.rows_followed.to_string()),
        ("rows verified", report.verify_rows.to_string()),
        (
            "held, longest / median",
            format!("{:.0} / {:.0} ms", report.hold_ms_max, report.hold_ms_p50),
        ),
        ("slowest switch", format!("{:.0} ms", report.switch_ms)),
        ("slowest rollback", format!("{:.0} ms", report.rollback_ms)),
    ];
    let judgements = [
        ("requests failed", report.requests_failed),
        ("writes lost", report.writes_lost),
        ("writes doubled", report.writes_doubled),
        (
            "stale reads after own write",
            report.stale_reads_after_own_write,
        ),
        ("differences between the sides", report.verify_differences),
    ];
    for (index, (name, value)) in measured.into_iter().enumerate() {
        let (what, count) = match judgements.get(index) {
            Some((what, count)) => (Cell::new(what), judged(*count)),
            None => (Cell::new(""), Cell::new("")),
        };
        table.add_row(vec![what, count, Cell::new(name), right(value)]);
    }
    table
}

fn table() -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_BORDERS_ONLY)
        .set_width(WIDTH);
    table
}

fn right(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn judged(count: u64) -> Cell {
    let color = if count == 0 { Color::Green } else { Color::Red };
    right(count.to_string()).fg(color)
}

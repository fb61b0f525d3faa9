//! What came of the drills.

use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use serde::Serialize;

const WIDTH: u16 = 80;

/// Of one drill.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// Its name.
    pub drill: String,
    /// In which round.
    pub round: u32,
    /// What was run because it was printed.
    pub followed: Vec<String>,
    /// Until all was healthy again.
    pub seconds: f64,
    /// Why it could not be held here, if so.
    pub skipped: Option<String>,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

/// Of all of them.
#[derive(Debug, Clone, Serialize)]
pub struct DrillOutcome {
    /// In their order.
    pub verdicts: Vec<Verdict>,
    /// What is wrong at the end: lost or doubled writes, stale reads, differences.
    pub problems: Vec<String>,
    /// What the clients sent.
    pub requests: u64,
    /// Of them, how many failed: a database that is down fails some.
    pub failed_requests: u64,
    /// Writes that were acknowledged, and looked for at the end.
    pub acknowledged: u64,
}

impl DrillOutcome {
    /// Whether every drill passed and nothing was lost.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty() && self.verdicts.iter().all(|one| one.failure.is_none())
    }

    /// A table of the drills, what is wrong, and the verdict.
    pub fn summary(&self) -> String {
        let mut table = Table::new();
        table
            .load_style(presets::UTF8_BORDERS_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(WIDTH);
        table.set_header(["drill", "what was printed and run", "s", ""].map(Cell::new));
        for one in &self.verdicts {
            let verdict = match (&one.failure, &one.skipped) {
                (Some(_), _) => Cell::new("FAILED").fg(Color::Red),
                (None, Some(_)) => Cell::new("SKIPPED").fg(Color::Yellow),
                (None, None) => Cell::new("ok").fg(Color::Green),
            };
            let seconds = format!("{:.0}", one.seconds);
            table.add_row(vec![
                Cell::new(&one.drill),
                Cell::new(match (&one.skipped, one.followed.as_slice()) {
                    (Some(why), _) => why.clone(),
                    (None, []) => "nothing had to be".to_owned(),
                    (None, all) => all.join("; "),
                }),
                Cell::new(seconds).set_alignment(CellAlignment::Right),
                verdict,
            ]);
        }
        let mut lines = vec![table.to_string()];
        let failures = self.verdicts.iter().filter_map(|one| one.failure.as_ref());
        lines.extend(
            failures
                .chain(&self.problems)
                .map(|text| format!("PROBLEM  {text}")),
        );
        lines.push(format!(
            "{} drills; {} requests, {} failed while something was down; {} acknowledged writes \
             looked for",
            self.verdicts.len(),
            self.requests,
            self.failed_requests,
            self.acknowledged
        ));
        if self.is_clean() {
            lines.push("Everything is healthy, nothing is lost or doubled.".to_owned());
        }
        lines.join("\n")
    }
}

//! What `./x up --check` found.

use super::calls::{CALLS, Outcome};
use super::load::{self, Load};
use super::{GATEWAY_KEY, Set, statements};
use anyhow::Result;
use comfy_table::{Cell, ContentArrangement, Table, presets};
use serde::Serialize;

/// At most so many of the load's requests may fail, in percent.
const FAILED_PERCENT: f64 = 0.1;
/// Wished for; the exit code does not go by it.
const P95_MS: f64 = 200.0;
/// The same.
const P99_MS: f64 = 500.0;

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The calls of the seed, and its queries.
    pub calls: Vec<Outcome>,
    /// The load test.
    pub load: Load,
}

/// Checks a set; the monolith is gone afterwards.
pub async fn check(set: &mut Set, load: &load::Settings) -> Result<Report> {
    let mut calls = Vec::new();
    for call in CALLS.iter().filter(|call| !call.without_monolith) {
        calls.push(call.run(set).await);
    }
    let gateway = set.ports().url("gateway");
    let load = load::run(&gateway, GATEWAY_KEY, load).await?;
    calls.extend(statements::run(set).await);
    set.stop_monolith().await;
    for call in CALLS.iter().filter(|call| call.without_monolith) {
        calls.push(call.run(set).await);
    }
    Ok(Report { calls, load })
}

impl Report {
    /// Whether all calls were answered as expected, and next to no request of
    /// the load failed. Times depend on the machine and are only told.
    pub fn is_good(&self) -> bool {
        self.calls.iter().all(|call| call.problem.is_none())
            && self.load.failed_share() * 100.0 < FAILED_PERCENT
    }

    /// For people.
    pub fn tables(&self) -> String {
        let mut calls = table();
        calls.set_header(["call", "of the seed", "answer"].map(Cell::new));
        for call in &self.calls {
            let first = call.command.lines().next().unwrap_or_default();
            let answer = call.problem.as_deref().unwrap_or("as expected");
            calls.add_row([first, call.purpose, answer]);
        }
        let Load {
            visitors,
            seconds,
            requests,
            failed,
            ..
        } = self.load;
        let mut load = table();
        let title = format!("{visitors} visitors, {seconds:.0} s, {requests} requests");
        load.set_header([title.as_str(), "wanted", "measured"].map(Cell::new));
        let share = self.load.failed_share() * 100.0;
        load.add_row([
            "failed".to_owned(),
            format!("under {FAILED_PERCENT} %"),
            format!("{share:.2} % ({failed})"),
        ]);
        for (name, wanted, measured) in [
            ("p95", P95_MS, self.load.p95_ms),
            ("p99", P99_MS, self.load.p99_ms),
        ] {
            let slow = if measured < wanted { "" } else { ", too slow" };
            load.add_row([
                name.to_owned(),
                format!("under {wanted} ms"),
                format!("{measured:.1} ms{slow}"),
            ]);
        }
        match &self.load.first_failure {
            None => format!("{calls}\n{load}"),
            Some(failure) => format!("{calls}\n{load}\nfailure  {failure}"),
        }
    }
}

/// The report fits a terminal.
const COLUMNS: u16 = 80;

fn table() -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(COLUMNS);
    table
}

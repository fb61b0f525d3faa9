//! The story of the demo, smaller: out, back, and out again under load, with
//! no failed request, no lost, doubled or stale write, and no difference.

use anyhow::{Result, ensure};
use std::sync::Arc;
use testbed::story::{self, Screen, Settings};

#[tokio::test(flavor = "multi_thread")]
async fn story() -> Result<()> {
    let told = story::tell(&Settings::small(), Arc::new(Screen::lines())).await?;
    println!("{}", told.summary());
    ensure!(
        told.is_clean(),
        "{:#?}\n{:#?}",
        told.problems,
        told.failures
    );
    let report = &told.report;
    ensure!(
        report.requests_total > 500,
        "only {} requests",
        report.requests_total
    );
    ensure!(
        report.writes_acknowledged > 100,
        "only {} writes",
        report.writes_acknowledged
    );
    ensure!(
        report.rows_copied > 1000,
        "only {} rows copied",
        report.rows_copied
    );
    ensure!(
        report.rows_followed > 100,
        "only {} rows followed",
        report.rows_followed
    );
    ensure!(
        report.verify_rows > 1000,
        "only {} rows verified",
        report.verify_rows
    );
    ensure!(
        report.switch_ms > 0.0 && report.rollback_ms > 0.0,
        "hand-overs took no time"
    );
    let share = |name: &str| {
        let phases = report.phases.iter().filter(|phase| phase.name == name);
        phases
            .map(|phase| phase.service_share_of_reads)
            .fold(0.0, f64::max)
    };
    ensure!(
        share("monolith alone") == 0.0,
        "reads at the service before it was asked to"
    );
    ensure!(share("reads 50%") > 0.1, "{}", share("reads 50%"));
    // Clients without a key stay with the owner, and writers are pinned.
    ensure!(share("reads 100%") > 0.5, "{}", share("reads 100%"));
    ensure!(share("service again") > 0.9, "{}", share("service again"));
    Ok(())
}

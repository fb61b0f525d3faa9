//! Monolith and service on the same tables: a growing share of the writes goes to
//! the service and back, over a kill of `banyan serve`, and each write is there
//! exactly once. A second instance of the monolith stands for the service, as in
//! a hybrid phase where both run the same code on one database.

use crate::stage::{Stage, Traffic, committed};
use anyhow::{Context, Result, ensure};
use std::time::Duration;
use testbed::banyan::Plan;
use testbed::deadline;
use testbed::monolith::Web;
use testbed::workload::Counts;

const LIMIT: Duration = Duration::from_secs(30);

/// Of the clients' users, those of the nameless connections (4 of 32) are not
/// split: they go along when everybody does.
const NAMED: f64 = 28.0 / 32.0;

/// Nothing has begun; the plan shares the data.
async fn set() -> Result<(Stage, Plan, Web)> {
    let mut stage = Stage::set(Ok).await?;
    let web = stage.scene.project.serve().await?;
    let plan = stage
        .scene
        .plan()?
        .set("CONTRACTS_URL", web.url())
        .set("CONTRACTS_DATABASE_URL", &stage.scene.monolith_database()?)
        // On a loaded machine a monolith under load takes its time.
        .replace(
            "health: /health/ready",
            "health: { path: /health, timeout: 10s }",
        )?
        .replace_between(
            "    data:\n",
            "    rollout:",
            "    data: { mode: shared }\n",
        )?
        .replace_between("    switch:\n", "      hold: 2s", "")?
        .replace_between("      hold: 2s", "      block: 1000", "")?
        .replace("      block: 1000", "")?
        .replace("      observe: 1s", "")?;
    stage.banyan = stage.scene.command_line(&plan)?;
    Ok((stage, plan, web))
}

async fn shares_are(stage: &Stage, reads: f64, writes: f64) -> Result<()> {
    let what = format!("{reads}% of the reads and {writes}% of the writes");
    deadline::until(&what, LIMIT, async || {
        let now = stage.status().await?;
        let is = |found: f64, wanted: f64| (found - wanted).abs() < 0.001;
        let is_it = now.phase == "shared"
            && now.owner == "both"
            && is(now.reads_percent, reads)
            && is(now.writes_percent.unwrap_or(-1.0), writes);
        Ok(is_it.then_some(()))
    })
    .await
}

/// Lets clients work under these shares, and says what they saw.
async fn phase(traffic: &Traffic, name: &str, writes: u64) -> Result<Counts> {
    traffic.workload.begin_phase(name);
    traffic.more_writes(writes).await?;
    let counts = traffic.workload.view().current().counts;
    println!(
        "{name}: {} requests, the service answered {:.1}% of the reads, {:.1}% of {} writes",
        counts.requests,
        counts.service_share_of_reads() * 100.0,
        counts.service_share_of_writes() * 100.0,
        counts.contract_writes
    );
    Ok(counts)
}

fn ensure_near(counts: &Counts, wanted: f64, spread: f64) -> Result<()> {
    for share in [
        counts.service_share_of_reads(),
        counts.service_share_of_writes(),
    ] {
        ensure!(
            (share - wanted).abs() <= spread,
            "a share of {share:.3} where {wanted:.3} was wanted"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_writes() -> Result<()> {
    let (mut stage, plan, _web) = set().await?;
    // Both are on one database, and `check` has asked them.
    let check = stage.banyan.check().await?;
    ensure!(check.ok && check.findings.is_empty(), "{check:?}");
    stage.serve(None).await?;
    let traffic = stage.traffic_on(None).await?;
    ensure_near(&phase(&traffic, "planned", 20).await?, 0.0, 0.0)?;

    stage.banyan.start().await?;
    ensure_near(&phase(&traffic, "0%", 20).await?, 0.0, 0.0)?;
    stage.banyan.shift_both("5%", "5%").await?;
    let five = phase(&traffic, "5%", 150).await?;
    ensure_near(&five, 0.05 * NAMED, 0.10)?;
    ensure!(five.contract_writes_by_service > 0, "no write at 5%");

    // Whoever comes back knows what was decided, and nobody else says so.
    traffic.workload.begin_phase("crash");
    traffic.more_writes(20).await?;
    let mut serve = stage.serve.take().context("banyan is not running")?;
    serve.process().kill().await;
    stage.serve(None).await?;
    shares_are(&stage, 5.0, 5.0).await?;
    // Connections that the kill broke are found broken.
    traffic.more_writes(60).await?;

    stage.banyan.shift_both("50%", "50%").await?;
    ensure_near(&phase(&traffic, "50%", 150).await?, 0.5 * NAMED, 0.2)?;
    // The nameless, too, and all of it.
    committed(stage.banyan.switch().await?)?;
    shares_are(&stage, 100.0, 100.0).await?;
    ensure_near(&phase(&traffic, "100%", 80).await?, 1.0, 0.02)?;
    committed(stage.banyan.rollback().await?)?;
    shares_are(&stage, 0.0, 0.0).await?;
    ensure_near(&phase(&traffic, "rolled back", 80).await?, 0.0, 0.02)?;

    let (finished, audit) = traffic.finish().await?;
    ensure!(audit.acknowledged > 400, "{} writes", audit.acknowledged);
    for phase in &finished.phases {
        let failed = phase.counts.failed;
        ensure!(
            failed == 0 || phase.name == "crash",
            "{failed} requests failed in {}: {:#?}",
            phase.name,
            finished.failures
        );
    }
    what_there_is_not(&stage).await?;
    by_environment(&mut stage, &plan).await
}

/// What exists only for data that move is said so, and touches nothing.
async fn what_there_is_not(stage: &Stage) -> Result<()> {
    let verify = stage.banyan.run("verify", &["contracts"]).await?;
    ensure!(
        verify.code == 2 && verify.flat().contains("no two copies to compare"),
        "{}: {}",
        verify.code,
        verify.stderr
    );
    let again = stage
        .banyan
        .run("rollback", &["contracts", "--yes"])
        .await?;
    ensure!(
        again.code == 2 && again.flat().contains("go to the monolith already"),
        "{}: {}",
        again.code,
        again.stderr
    );
    let nothing = stage.banyan.run("shift", &["contracts"]).await?;
    ensure!(nothing.code == 2, "{}", nothing.code);
    let routes = stage.banyan.run("routes", &[]).await?.successful()?;
    ensure!(routes.stdout.contains("shared"), "{}", routes.stdout);
    Ok(())
}

/// The variables of seed 000, which sets reads and writes at once.
async fn by_environment(stage: &mut Stage, plan: &Plan) -> Result<()> {
    for (name, value, share) in [
        ("CANARY_PERCENTAGE", "30", 30.0),
        ("ROUTE_TO_MONOLITH", "True", 0.0),
    ] {
        if let Some(serve) = stage.serve.take() {
            serve.stop().await;
        }
        stage.banyan = stage.scene.command_line(&plan.clone().set(name, value))?;
        stage.serve(None).await?;
        shares_are(stage, share, share).await?;
    }
    // Ended here, so that its data may move under the same name.
    stage.banyan.cancel().await?;
    let planned = stage.status().await?;
    ensure!(planned.phase == "planned", "{planned:?}");
    let elsewhere = stage.scene.contracts_database()?;
    let plan = plan.clone().set("CONTRACTS_DATABASE_URL", &elsewhere);
    let elsewhere = stage.scene.command_line(&plan)?;
    let check = elsewhere.run("check", &[]).await?;
    ensure!(
        check.code == 2 && check.stdout.contains("are two databases"),
        "{}: {}",
        check.code,
        check.stdout
    );
    Ok(())
}

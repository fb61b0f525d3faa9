//! `banyan rehearse --hold` under load: clients notice nothing, nothing of it stays, and
//! it says for how long writes would pause and who was waited for.

use crate::{failpoint, stage::Stage};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::time::Duration;
use testbed::deadline;
use testbed::scene::{MONOLITH_DATABASE, MONOLITH_ROLE};

const REHEARSAL_LIMIT: Duration = Duration::from_secs(30);

/// It is looked dozens of times meanwhile who is waited for.
const SEEN: Duration = Duration::from_secs(1);

const LOCK_WAITS: &str = "select count(*) from pg_locks \
    where not granted and mode = 'ShareRowExclusiveLock'";

const FENCES: &str = "select count(*) from pg_trigger where not tgisinternal \
    and tgfoid::regproc::text like 'banyan%'";

async fn rehearse(stage: &Stage, times: &str) -> Result<Value> {
    let arguments = ["--hold", "contracts", "--times", times, "--pause", "100ms"];
    let arguments: Vec<_> = arguments.into_iter().chain(["--yes", "--json"]).collect();
    let rehearsed = stage.banyan.run("rehearse", &arguments).await?;
    let report: Value = serde_json::from_str(&rehearsed.stdout)?;
    ensure!(rehearsed.code == 0, "not through: {report:#}");
    Ok(report)
}

async fn counted(stage: &Stage, query: &str) -> Result<i64> {
    let cluster = &stage.scene.monolith_cluster;
    let client = cluster.client(MONOLITH_ROLE, MONOLITH_DATABASE).await?;
    Ok(client.query_one(query, &[]).await?.get(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn rehearsed_hold() -> Result<()> {
    let stage = Stage::following().await?;
    stage.banyan.shift("50%").await?;
    let traffic = stage.traffic().await?;

    let report = rehearse(&stage, "3").await?;
    println!("{report:#}");
    let through = report["rehearsals"].as_array().context("no rehearsals")?;
    ensure!(through.len() == 3, "{} rehearsals", through.len());
    let pause = report["pause_ms"]["p50"].as_f64().unwrap_or_default();
    ensure!(pause > 0.0, "no pause was measured");
    stage.settled("following", "monolith").await?;
    traffic.more_writes(20).await?;

    // Somebody whom the lock waits for.
    let writer = stage.unfinished_writer().await?;
    let giving_up = async {
        deadline::until("the lock is waited for", REHEARSAL_LIMIT, async || {
            let waits = counted(&stage, LOCK_WAITS).await?;
            Ok((waits > 0).then_some(()))
        })
        .await?;
        tokio::time::sleep(SEEN).await;
        writer.give_up().await
    };
    let (report, given_up) = tokio::join!(rehearse(&stage, "1"), giving_up);
    given_up?;
    let report = report?;
    let waited_for = report["waited_for"].to_string();
    ensure!(
        waited_for.contains("land-contracts-cron"),
        "who was waited for is not told: {report:#}"
    );

    let status = stage.settled("following", "monolith").await?;
    let last = status.last_handover.context("no hand-over is shown")?;
    ensure!(
        last.rehearsal && last.outcome == "rehearsed" && last.epoch == 4,
        "shown as {last:?}"
    );
    // Triggers pass, and are taken away beside the traffic.
    deadline::until("the fence is gone", REHEARSAL_LIMIT, async || {
        Ok((counted(&stage, FENCES).await? == 0).then_some(()))
    })
    .await?;
    let text = stage.banyan.run("status", &[]).await?.successful()?.stdout;
    println!("{text}");
    ensure!(
        text.contains("rehearsal of a switch at epoch 4: undone at its commit point"),
        "{text}"
    );

    // The hand-over itself, the way back's rehearsal, and the way back.
    stage.switch().await?;
    traffic.more_writes(20).await?;
    let report = rehearse(&stage, "1").await?;
    ensure!(report["rehearsals"][0]["kind"] == "rollback", "{report:#}");
    stage.settled("switched", "service").await?;
    let text = stage.banyan.run("status", &[]).await?.successful()?.stdout;
    ensure!(
        text.contains("\nrehearsal of a rollback at epoch") && text.contains("\nswitch at epoch"),
        "{text}"
    );
    traffic.more_writes(20).await?;
    stage.rollback().await?;
    traffic.more_writes(20).await?;
    traffic.finish_unnoticed().await?;
    stage.ensure_equal().await
}

/// SIGKILL in the middle: undone, the monolith goes on.
#[tokio::test(flavor = "multi_thread")]
async fn killed_in_a_rehearsal() -> Result<()> {
    let arguments = ["rehearse", "--hold", "contracts", "--yes"];
    failpoint::dies_in(&arguments, "after-fence", "following", "monolith").await
}

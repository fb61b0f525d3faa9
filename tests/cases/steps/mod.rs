//! The plan's steps go by themselves. A service that dies at half of the reads loses its
//! share, goes through when it is back, and hands the data back by itself when it dies as
//! the owner; no client of the first half notices, and no write is lost.

mod reloading;

use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::time::Duration;
use testbed::{
    deadline,
    http_client::{self, Call},
    process::Finished,
};

/// A failure is told from a hiccup by some twenty windows, of a quarter of a second here.
const LIMIT: Duration = Duration::from_mins(2);

const ANSWER: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn steps_go_by_themselves_and_back() -> Result<()> {
    let key = "      key: { header: x-user-id }\n    switch:";
    let steps = "      key: { header: x-user-id }\n      \
        steps: [{ reads: 50%, for: 20s }, { reads: 100%, for: 2s }, switch, { watch: 25s }]\n      \
        gates: { error-rate: { max: 5% }, requests: 20 }\n      \
        automatic: { rollback: on }\n    switch:";
    let mut stage = Stage::following_until(None, |plan| plan.replace(key, steps)).await?;
    let traffic = stage.traffic().await?;
    rollout(&stage, "half of the reads", |shown| {
        shown["entered_ms"].is_i64() && shown["step"] == 1
    })
    .await?;
    stage.scene.service.kill().await;
    let stopped = rollout(&stage, "the share to be taken back", |shown| {
        shown["state"] == "stopped" && shown["undo"].is_null()
    })
    .await?;
    let why = stopped["why"].as_str().context("no reason")?;
    ensure!(why.contains("gate `error-rate` failed"), "{why}");
    ensure!(stage.status_as_json().await?["reads_percent"] == 0.0);
    let told = told_why(&stage).await?.stdout;
    let [happened, evidence, next] = told.lines().collect::<Vec<_>>()[..] else {
        anyhow::bail!("these are no three lines: {told}");
    };
    ensure!(
        happened.ends_with("UTC by gate error-rate: reads 50% to 0%"),
        "{told}"
    );
    ensure!(
        evidence.contains(" failed, 5.00% may, in ") && evidence.ends_with("; one proportion"),
        "{told}"
    );
    ensure!(
        next.starts_with("plan ") && next.ends_with("step 1 of 4; next: `banyan resume contracts`"),
        "{told}"
    );
    ensure!(
        told.lines().all(|line| line.chars().count() <= 80),
        "{told}"
    );

    stage.scene.service.start_again().await?;
    let nobody = stage
        .banyan
        .run("approve", &["contracts", "--by", "ada", "--yes"])
        .await?;
    ensure!(
        nobody.code == 2,
        "nothing waits for an approval: {nobody:?}"
    );
    stage
        .banyan
        .run("resume", &["contracts", "--by", "ada"])
        .await?
        .successful()?;
    rollout(&stage, "the switch", |shown| shown["step"] == 4).await?;
    stage.settled("switched", "service").await?;
    traffic.more_writes(20).await?;
    traffic.finish_unnoticed().await?;

    stage.scene.service.kill().await;
    let mut number = 0;
    deadline::until("the data to go back", LIMIT, async || {
        for _ in 0..8 {
            number += 1;
            let call = Call::get("/api/contracts").by(Some(number));
            // While it is down they get 502 or 503: it is the owner.
            let _ = http_client::call(stage.gateway()?, &call, ANSWER).await;
        }
        let now = stage.status_as_json().await?;
        let is_back = now["owner"] == "monolith" && now["reads_percent"] == 0.0;
        Ok(is_back.then_some(()))
    })
    .await?;
    let shown = stage.status_as_json().await?;
    let why = shown["rollout"]["why"].as_str().context("no reason")?;
    ensure!(why.contains("error-rate"), "{why}");
    ensure!(stage.create_contract("back").await? == 201);
    stage.scene.service.start_again().await?;
    stage.ensure_equal().await?;

    // A night later, and of another process: the same numbers.
    let before = told_why(&stage).await?;
    ensure!(
        before.flat().contains("by gate error-rate: all taken back"),
        "{before:?}"
    );
    let serve = stage.serve.take().context("banyan does not run")?;
    serve.stop().await;
    stage.serve(None).await?;
    stage.settled("following", "monolith").await?;
    // How it goes on is known once the steps have seen that, too.
    rollout(&stage, "the stop, after a restart", |shown| {
        shown["state"] == "stopped" && !shown["asks"].is_null()
    })
    .await?;
    let after = told_why(&stage).await?;
    ensure!(after.stdout == before.stdout, "{before:?}\n{after:?}");
    Ok(())
}

async fn told_why(stage: &Stage) -> Result<Finished> {
    let told = stage.banyan.run("why", &["contracts"]).await?;
    told.successful()
}

/// Waits until the rollout is as wanted; how it is then.
async fn rollout(stage: &Stage, what: &str, is: impl Fn(&Value) -> bool) -> Result<Value> {
    let mut last = Value::Null;
    let found = deadline::until(what, LIMIT, async || {
        last = stage.status_as_json().await?["rollout"].clone();
        Ok(is(&last).then(|| last.clone()))
    })
    .await;
    found.with_context(|| format!("last seen: {last:#}"))
}

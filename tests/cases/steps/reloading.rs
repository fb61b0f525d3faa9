//! A reload brings other steps where no share moves for that alone. What is not safe is
//! refused whole, by the verb and by a hang-up, and said with what works instead.

use super::rollout;
use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use std::fs;
use testbed::process::{Finished, Signal};

const KEY: &str = "      key: { header: x-user-id }\n    switch:";

/// It stays in the first.
const STEPS: &str = "[{ reads: 50%, for: 1h }, { reads: 100%, for: 1h }, switch]";

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_brings_other_steps_where_that_is_safe() -> Result<()> {
    let mut stage = Stage::following_until(None, |plan| plan.replace(KEY, &key(STEPS))).await?;
    rollout(&stage, "half of the reads", |shown| {
        shown["entered_ms"].is_i64() && shown["step"] == 1
    })
    .await?;

    // The one that it is in lasts longer, and others come after it.
    let other = "[{ reads: 50%, for: 2h }, { reads: 70%, for: 1s }, { reads: 80%, for: 1h }]";
    replace(&stage, STEPS, other)?;
    let told = reload(&stage).await?.successful()?.stdout;
    ensure!(
        told.contains("contracts: step 1: `reads 50% for 1h` is `reads 50% for 2h` now"),
        "{told}"
    );
    let shown = steps(&stage).await?;
    ensure!(
        shown["steps"][1] == "reads 70% for 1s" && shown["changed"].is_null(),
        "{shown:#}"
    );
    let lasts = shown["until_ms"].as_i64().zip(shown["entered_ms"].as_i64());
    ensure!(
        lasts.is_some_and(|(until, entered)| until - entered == 7_200_000),
        "{shown:#}"
    );

    // Less than it has is not taken: neither by the verb, nor by a hang-up, nor by half.
    let less = other.replacen("50%", "40%", 1);
    replace(&stage, other, &less)?;
    let refused = reload(&stage).await?;
    ensure!(
        refused.code == 2
            && refused
                .flat()
                .contains("contracts: step 1 is the one that it is in")
            && refused.flat().contains("`banyan pause`"),
        "{refused:?}"
    );
    replace(&stage, "reads: 80%", "reads: 90%")?;
    let serve = stage.serve.as_mut().context("banyan does not run")?;
    serve.process().signal(Signal::Hangup);
    let shown = rollout(&stage, "the refusal", |shown| {
        shown["steps_refused"].is_string()
    })
    .await?;
    ensure!(shown["steps"][2] == "reads 80% for 1h", "{shown:#}");
    let told = stage
        .banyan
        .run("why", &["contracts"])
        .await?
        .successful()?
        .stdout;
    ensure!(
        told.contains("may only last longer")
            && told.lines().all(|line| line.chars().count() <= 80),
        "{told}"
    );
    ensure!(stage.status_as_json().await?["reads_percent"] == 50.0);

    // What it says works: it pauses, and goes on anew, by steps that a restart knows as well.
    verb(&stage, "pause").await?;
    let short = "[{ reads: 50%, for: 1s }, { reads: 60%, for: 1h }]";
    replace(&stage, &less.replacen("reads: 80%", "reads: 90%", 1), short)?;
    let serve = stage.serve.as_mut().context("banyan does not run")?;
    serve.process().signal(Signal::Hangup);
    rollout(&stage, "the new steps", |shown| {
        shown["steps"][0] == "reads 50% for 1s" && shown["steps_refused"].is_null()
    })
    .await?;
    ensure!(stage.status_as_json().await?["reads_percent"] == 50.0);
    verb(&stage, "resume").await?;
    rollout(&stage, "the second step", |shown| {
        shown["entered_ms"].is_i64() && shown["step"] == 2
    })
    .await?;
    stage
        .serve
        .take()
        .context("banyan does not run")?
        .stop()
        .await;
    stage.serve(None).await?;
    let shown = rollout(&stage, "the same after a restart", |shown| {
        shown["entered_ms"].is_i64() && shown["step"] == 2
    })
    .await?;
    ensure!(
        shown["state"] == "running" && shown["changed"].is_null(),
        "{shown:#}"
    );
    let journal = stage.banyan.run("journal", &["contracts"]).await?;
    let journal = journal.successful()?.stdout;
    let changes = journal.matches("A reload of the plan").count();
    ensure!(changes == 2, "{journal}");
    stage.ensure_equal().await
}

fn key(steps: &str) -> String {
    format!("      key: {{ header: x-user-id }}\n      steps: {steps}\n    switch:")
}

fn replace(stage: &Stage, old: &str, new: &str) -> Result<()> {
    let path = stage.banyan.plan();
    let plan = fs::read_to_string(path)?;
    ensure!(plan.contains(old), "the plan has no {old}");
    fs::write(path, plan.replacen(old, new, 1))?;
    Ok(())
}

async fn reload(stage: &Stage) -> Result<Finished> {
    stage.banyan.run("reload", &[]).await
}

async fn steps(stage: &Stage) -> Result<serde_json::Value> {
    Ok(stage.status_as_json().await?["rollout"].clone())
}

async fn verb(stage: &Stage, verb: &str) -> Result<()> {
    let arguments = ["contracts", "--by", "ada"];
    stage.banyan.run(verb, &arguments).await?.successful()?;
    Ok(())
}

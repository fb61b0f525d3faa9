//! A step waits for its checklist: what can be checked is checked by itself, and what a
//! person attests lets it begin.

use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::time::Duration;
use testbed::deadline;

const LIMIT: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_step_waits_for_what_has_to_be_done() -> Result<()> {
    let key = "      key: { header: x-user-id }\n    switch:";
    let steps = "      key: { header: x-user-id }\n      \
        steps: [{ reads: 50%, checklist: [go-live] }]\n    switch:";
    let lists = "\nchecklists:\n  lists:\n    go-live: [databases, secrets, health, alerts, ticket]\n\
        \nextractions:\n";
    let mut stage =
        Stage::set(|plan| plan.replace(key, steps)?.replace("\nextractions:\n", lists)).await?;
    stage.serve(None).await?;
    let started = stage
        .banyan
        .run("start", &["contracts"])
        .await?
        .successful()?;
    ensure!(
        started.stdout.contains("Not done of `pre-migration`"),
        "{}",
        started.stdout
    );
    // What has no tool here is skipped aloud; the rest passes.
    let waits = "alerts (skipped), ticket (open)";
    deadline::until("the step to wait", LIMIT, async || {
        let shown = stage.status_as_json().await?["rollout"]["waits_for"].to_string();
        Ok(shown.contains(waits).then_some(()))
    })
    .await?;
    ensure!(stage.status_as_json().await?["reads_percent"] == 0.0);
    let shown = stage
        .banyan
        .run("checklist", &["contracts", "go-live", "--json"])
        .await?;
    ensure!(shown.code == 1, "not all of it is done: {shown:?}");
    let shown: Value = serde_json::from_str(&shown.stdout)?;
    let items = shown.as_array().context("no list")?;
    for (item, state) in items
        .iter()
        .zip(["done", "done", "done", "skipped", "open"])
    {
        ensure!(item["state"] == state, "{item}");
    }
    let failed = stage
        .banyan
        .run(
            "attest",
            &["contracts", "databases", "--note", "x", "--by", "ada"],
        )
        .await?;
    ensure!(
        failed.code == 2 && failed.flat().contains("by itself"),
        "{failed:?}"
    );
    for item in ["alerts", "ticket"] {
        let attested = ["contracts", item, "--note", "CHG-7", "--by", "ada"];
        let told = stage.banyan.run("attest", &attested).await?.successful()?;
        ensure!(told.stdout.contains("ada: CHG-7"), "{}", told.stdout);
        ensure!(
            told.stdout.lines().all(|line| line.chars().count() <= 80),
            "{}",
            told.stdout
        );
    }
    deadline::until("the step to begin", LIMIT, async || {
        Ok((stage.status_as_json().await?["reads_percent"] == 50.0).then_some(()))
    })
    .await
}

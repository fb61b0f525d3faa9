//! Somebody changes a fenced table behind the fence's back: no rollback until
//! it is mended and a verify is clean, whatever is restarted meanwhile; and one
//! as soon as it is.

use crate::stage::{Stage, committed};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::time::Duration;
use testbed::deadline;
use testbed::scene::MONOLITH_DATABASE;
use tokio_postgres::Client;

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn rows_past_the_fence_are_remembered_until_a_verify_is_clean() -> Result<()> {
    let mut stage = Stage::following().await?;
    stage.switch().await?;
    stage.settled("switched", "service").await?;
    let cluster = &stage.scene.monolith_cluster;
    let monolith = cluster.superuser(MONOLITH_DATABASE).await?;
    let title = "SELECT title FROM contracts_contract WHERE id = 7";
    let title: String = monolith.query_one(title, &[]).await?.get(0);
    past_the_fence(&monolith, "past").await?;
    deadline::until("it to be seen", LIMIT, async || {
        Ok((rows_past_fence(&stage).await? > 0).then_some(()))
    })
    .await?;

    drop(stage.serve.take().context("it does not run")?);
    stage.serve(None).await?;
    stage.settled("switched", "service").await?;
    let refused = stage.banyan.rollback().await?;
    ensure!(
        !refused.is_committed() && refused.reason().contains("past the fence"),
        "{refused:?}"
    );
    let found = stage.banyan.verify().await?;
    ensure!(found.differences.len() == 1, "{:?}", found.differences);
    // A verify that finds something clears nothing.
    let refused = stage.banyan.rollback().await?;
    ensure!(!refused.is_committed(), "{refused:?}");

    past_the_fence(&monolith, &title).await?;
    deadline::until("both to be seen", LIMIT, async || {
        Ok((rows_past_fence(&stage).await? > 1).then_some(()))
    })
    .await?;
    stage.ensure_equal().await?;
    ensure!(rows_past_fence(&stage).await? == 0);
    committed(stage.banyan.rollback().await?)?;
    Ok(())
}

async fn past_the_fence(monolith: &Client, title: &str) -> Result<()> {
    let statements = format!(
        "ALTER TABLE contracts_contract DISABLE TRIGGER banyan_fence;
         UPDATE contracts_contract SET title = '{title}' WHERE id = 7;
         ALTER TABLE contracts_contract ENABLE ALWAYS TRIGGER banyan_fence"
    );
    Ok(monolith.batch_execute(&statements).await?)
}

async fn rows_past_fence(stage: &Stage) -> Result<i64> {
    let status = stage
        .banyan
        .run("status", &["--json"])
        .await?
        .successful()?;
    let status: Value = serde_json::from_str(&status.stdout)?;
    let rows = &status["extractions"][0]["seen"]["rows_past_fence"];
    let rows = rows.as_array().context("no list of rows")?;
    Ok(rows.iter().filter_map(|one| one["rows"].as_i64()).sum())
}

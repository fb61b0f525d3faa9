//! A column that only the monolith gets stops the stream: everybody sees it, reads
//! go back to the owner, and the statement in the message mends it. A rewrite at
//! the service after the switch, which no stream can see, is in the way of the
//! rollback until a verify has proven the sides equal.

use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use std::time::Duration;
use testbed::banyan::answers::{Extraction, Stream};
use testbed::deadline;
use testbed::http_client::{self, Call};
use testbed::scene::CONTRACTS_DATABASE;

const LIMIT: Duration = Duration::from_secs(30);

/// Nobody who writes.
const READER: u32 = 1_000_007;

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_stream_is_seen_and_comes_back() -> Result<()> {
    let stage = Stage::following().await?;
    let monolith = stage.declared_writer().await?;
    let (_, service) = stage.scene.superusers().await?;
    stage.banyan.shift("100%").await?;
    reads_come_from(&stage, "service").await?;

    monolith
        .batch_execute(
            "ALTER TABLE contracts_contract ADD COLUMN surprise text DEFAULT 'x' NOT NULL;
             UPDATE contracts_contract SET title = title WHERE id = 1",
        )
        .await?;
    let failed = forward(&stage, "failed", |stream| {
        stream.state == "failed" && stream.lag_seconds > 1.0 && stream.lag_bytes > 0
    })
    .await?;
    let trouble = failed.trouble.context("failed, and nothing is wrong")?;
    reads_come_from(&stage, "monolith").await?;
    let verify = stage.banyan.run("verify", &["contracts"]).await?;
    ensure!(
        verify.code == 1 && verify.flat().contains("rows cannot be compared"),
        "{}: {}",
        verify.code,
        verify.stderr
    );
    let early = stage.banyan.run("resume", &["contracts"]).await?;
    ensure!(
        early.code == 1 && early.flat().contains("surprise"),
        "{}",
        early.stderr
    );

    let statement = trouble.split('`').nth(1).context("no statement")?;
    service
        .batch_execute(statement)
        .await
        .with_context(|| trouble.clone())?;
    let resumed = stage.banyan.run("resume", &["contracts"]).await?;
    ensure!(resumed.code == 0, "{}", resumed.stderr);
    stage.settled("following", "monolith").await?;
    reads_come_from(&stage, "service").await?;
    stage.ensure_equal().await?;
    stage.switch().await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewrite_is_proven_before_the_way_back() -> Result<()> {
    let stage = Stage::following().await?;
    let service = stage
        .scene
        .contracts_cluster
        .superuser(CONTRACTS_DATABASE)
        .await?;
    stage.switch().await?;
    stage.settled("switched", "service").await?;
    service
        .batch_execute(
            "ALTER TABLE contract_service.contracts ALTER title TYPE varchar(200) USING upper(title)",
        )
        .await?;
    let refused = stage
        .banyan
        .run("rollback", &["contracts", "--yes", "--json"])
        .await?;
    ensure!(
        refused.code == 1 && refused.stdout.contains("banyan verify contracts"),
        "{}: {} {}",
        refused.code,
        refused.stdout,
        refused.stderr
    );
    stage.settled("switched", "service").await?;
    let found = stage.banyan.verify().await?;
    ensure!(
        !found.differences.is_empty(),
        "verify did not see the rewrite"
    );

    // An update is in the log, as the rewrite is not.
    service
        .batch_execute("UPDATE contract_service.contracts SET title = title")
        .await?;
    stage.ensure_equal().await?;
    stage.rollback().await?;
    stage.settled("following", "monolith").await?;

    // At night: a harmless rewrite, and no time.
    stage.switch().await?;
    stage.settled("switched", "service").await?;
    service
        .batch_execute("VACUUM FULL contract_service.contracts")
        .await?;
    let unverified = ["contracts", "--yes", "--unverified"];
    let back = stage.banyan.run("rollback", &unverified).await?;
    ensure!(back.code == 0, "{} {}", back.stdout, back.stderr);
    Ok(())
}

async fn forward(stage: &Stage, what: &str, wanted: impl Fn(&Stream) -> bool) -> Result<Stream> {
    let mut last = Extraction::default();
    let found = deadline::until(what, LIMIT, async || {
        last = stage.status().await?;
        Ok(last.forward.clone().filter(|stream| wanted(stream)))
    })
    .await;
    found.with_context(|| format!("last seen: {last:?}"))
}

async fn reads_come_from(stage: &Stage, side: &str) -> Result<()> {
    let call = Call::get("/api/contracts").by(Some(READER));
    deadline::until(&format!("reads from the {side}"), LIMIT, async || {
        let answer = http_client::call(stage.gateway()?, &call, LIMIT).await?;
        Ok((answer.side() == Some(side)).then_some(()))
    })
    .await
}

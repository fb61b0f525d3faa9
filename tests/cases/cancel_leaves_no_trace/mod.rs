//! Cancel ends an extraction without a trace: both catalogues are as before,
//! the target is empty again, and it can be started once more. Before it, a
//! switch was aborted: what that decided counts no more than the rest.

use crate::stage::Stage;
use anyhow::{Result, ensure};
use std::time::Duration;
use testbed::catalogue::{Catalogue, row_counts};
use testbed::deadline;
use testbed::http_client::{self, Call};

const TIMEOUT: Duration = Duration::from_secs(10);
const READS_LIMIT: Duration = Duration::from_mins(1);

/// Nobody who writes.
const READER: u32 = 1_000_007;

#[tokio::test(flavor = "multi_thread")]
async fn cancel_leaves_no_trace() -> Result<()> {
    let mut stage = Stage::set(Ok).await?;
    let (monolith, service) = stage.scene.superusers().await?;
    let before = (
        Catalogue::read(&monolith).await?,
        Catalogue::read(&service).await?,
    );
    let rows = row_counts(&service, "contract_service").await?;

    stage.serve(None).await?;
    // Ready means that the first request is routed.
    let first = http_client::call(stage.gateway()?, &reads(), TIMEOUT).await?;
    ensure!(
        first.side() == Some("monolith"),
        "right after ready: {first:?}"
    );
    stage.banyan.start().await?;
    stage.settled("following", "monolith").await?;
    let during = Catalogue::read(&monolith).await?;
    println!("while following: {:#?}", before.0.changes(&during));
    ensure!(before.0 != during, "following without a slot");
    let traffic = stage.traffic().await?;
    stage.banyan.shift("100%").await?;
    traffic.more_writes(20).await?;
    abort_a_switch(&stage).await?;
    read_from(&stage, "service").await?;

    traffic.workload.begin_phase("cancel");
    stage.banyan.cancel().await?;
    read_from(&stage, "monolith").await?;
    traffic.more_writes(20).await?;
    before
        .0
        .ensure_unchanged(&Catalogue::read(&monolith).await?, "monolith")?;
    before
        .1
        .ensure_unchanged(&Catalogue::read(&service).await?, "service")?;
    let left = row_counts(&service, "contract_service").await?;
    ensure!(rows == left, "rows left in the target: {left:?}");
    // Without a trace there is also nothing that says it was ever begun.
    let phase = stage.status().await?.phase;
    ensure!(
        ["planned", "cancelled"].contains(&phase.as_str()),
        "the phase is {phase}"
    );

    stage.banyan.start().await?;
    stage.settled("following", "monolith").await?;
    stage.banyan.shift("100%").await?;
    read_from(&stage, "service").await?;
    stage.switch().await?;
    traffic.more_writes(20).await?;
    traffic.finish_unnoticed().await?;
    stage.ensure_equal().await
}

/// A writer keeps it from its lock for as long as a hold may last.
async fn abort_a_switch(stage: &Stage) -> Result<()> {
    let writer = stage.unfinished_writer().await?;
    let handover = stage.banyan.switch().await?;
    ensure!(
        !handover.is_committed(),
        "the switch went through past an open transaction"
    );
    writer.give_up().await?;
    Ok(())
}

fn reads() -> Call {
    Call::get("/api/contracts").by(Some(READER))
}

/// Waits until reads come from a side.
async fn read_from(stage: &Stage, side: &str) -> Result<()> {
    deadline::until(&format!("reads from the {side}"), READS_LIMIT, async || {
        let answer = http_client::call(stage.gateway()?, &reads(), TIMEOUT).await?;
        Ok((answer.side() == Some(side)).then_some(()))
    })
    .await
}

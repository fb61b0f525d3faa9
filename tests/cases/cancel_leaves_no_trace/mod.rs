//! Cancel ends an extraction without a trace: both catalogues are as before,
//! the target is empty again, and it can be started once more.

use crate::stage::Stage;
use anyhow::{Result, ensure};
use testbed::catalogue::{Catalogue, row_counts};
use testbed::scene::{CONTRACTS_DATABASE, MONOLITH_DATABASE};

#[tokio::test(flavor = "multi_thread")]
async fn cancel_leaves_no_trace() -> Result<()> {
    let mut stage = Stage::set(Ok).await?;
    let monolith = stage
        .scene
        .monolith_cluster
        .superuser(MONOLITH_DATABASE)
        .await?;
    let service = stage
        .scene
        .contracts_cluster
        .superuser(CONTRACTS_DATABASE)
        .await?;
    let before = (
        Catalogue::read(&monolith).await?,
        Catalogue::read(&service).await?,
    );
    let rows = row_counts(&service, "contract_service").await?;

    stage.serve(None).await?;
    stage.banyan.start().await?;
    stage.settled("following", "monolith").await?;
    let during = Catalogue::read(&monolith).await?;
    println!("while following: {:#?}", before.0.changes(&during));
    ensure!(before.0 != during, "following without a slot");
    let traffic = stage.traffic().await?;
    stage.banyan.shift("100%").await?;
    traffic.more_writes(20).await?;

    traffic.workload.begin_phase("cancel");
    stage.banyan.cancel().await?;
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
    traffic.more_writes(20).await?;
    traffic.finish_unnoticed().await?;
    stage.ensure_equal().await
}

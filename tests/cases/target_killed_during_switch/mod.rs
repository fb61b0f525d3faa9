//! The service's database dies in the middle of a switch: it is aborted, held
//! requests go on to the monolith, nothing is lost, and when the database is
//! back, following goes on and a switch succeeds.

use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use std::time::Duration;
use testbed::deadline;
use testbed::scene::MONOLITH_DATABASE;

const SWITCHING_LIMIT: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn target_killed_during_switch() -> Result<()> {
    let mut stage = Stage::following().await?;
    let traffic = stage.traffic().await?;
    // Keeps the switch waiting for its lock while the target is killed.
    let writer = stage.unfinished_writer().await?;
    let banyan = stage.banyan.clone();
    let switch = tokio::spawn(async move { banyan.switch().await });
    let monolith = stage
        .scene
        .monolith_cluster
        .superuser(MONOLITH_DATABASE)
        .await?;
    deadline::until(
        "the switch to wait for its lock",
        SWITCHING_LIMIT,
        async || {
            let sql = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode LIKE 'Share%'
                   AND relation = 'contracts_contract'::regclass";
            let waiting: i64 = monolith.query_one(sql, &[]).await?.get(0);
            Ok((waiting > 0).then_some(()))
        },
    )
    .await?;
    stage.scene.contracts_cluster.kill().await;
    writer.give_up().await?;
    let handover = switch.await??;
    println!("{}: {}", handover.outcome, handover.reason());
    ensure!(
        !handover.is_committed(),
        "a switch to a dead database went through"
    );
    traffic.more_writes(20).await?;

    stage
        .scene
        .contracts_cluster
        .start()
        .await
        .context("starting the target again")?;
    stage.settled("following", "monolith").await?;
    stage.switch().await?;
    traffic.more_writes(20).await?;
    traffic.finish_unnoticed().await
}

//! The journal is deleted after a switch: it is rebuilt from the rows in both
//! databases; the service goes on owning, and nothing is copied over its data.

use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use testbed::scene::CONTRACTS_DATABASE;

/// A row that is written again, even with the same content, gets another xmin.
const ROW_VERSIONS: &str = "SELECT md5(string_agg(concat(id, ' ', xmin), ',' ORDER BY id))
     FROM contract_service.contracts";

#[tokio::test(flavor = "multi_thread")]
async fn lost_journal() -> Result<()> {
    let mut stage = Stage::following().await?;
    let traffic = stage.traffic().await?;
    let switched = stage.switch().await?;
    traffic.more_writes(20).await?;
    traffic.finish_unnoticed().await?;
    let client = stage
        .scene
        .contracts_cluster
        .superuser(CONTRACTS_DATABASE)
        .await?;
    let before: String = client.query_one(ROW_VERSIONS, &[]).await?.get(0);

    let exit = stage
        .serve
        .take()
        .context("banyan is not running")?
        .stop()
        .await;
    ensure!(exit.code == 0, "banyan serve ended with {}", exit.code);
    std::fs::remove_dir_all(stage.banyan.state())?;
    std::fs::create_dir_all(stage.banyan.state())?;
    stage.serve(None).await?;
    let rebuilt = stage.settled("switched", "service").await?;
    println!("rebuilt: {rebuilt:?}");
    ensure!(
        rebuilt.epoch >= switched.epoch,
        "epoch {} of {}",
        rebuilt.epoch,
        switched.epoch
    );

    let again = stage.banyan.run("start", &["contracts"]).await?;
    println!(
        "start ended with {}: {}{}",
        again.code,
        again.stdout.trim(),
        again.stderr.trim()
    );
    ensure!(again.code != 0, "a fresh copy over live data was begun");
    let after: String = client.query_one(ROW_VERSIONS, &[]).await?.get(0);
    ensure!(before == after, "rows of the owner were written again");

    let traffic = stage.traffic().await?;
    stage.rollback().await?;
    traffic.more_writes(20).await?;
    traffic.finish_unnoticed().await?;
    stage.ensure_equal().await
}

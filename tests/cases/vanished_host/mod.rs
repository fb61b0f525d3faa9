//! The host of `banyan serve` vanishes: both databases keep its connections and
//! hear nothing more. Another one, on another host, goes on within the bound; and
//! the first, when its network is back, finds itself superseded and ends.

use crate::stage::{Stage, patient};
use anyhow::{Context, Result, ensure};
use std::time::Duration;
use testbed::banyan::CommandLine;
use testbed::deadline;
use testbed::silent_network::SilentNetwork;

/// Ten seconds of silence, and what a restart takes.
const BOUND: Duration = Duration::from_secs(45);

#[tokio::test(flavor = "multi_thread")]
async fn vanished_host() -> Result<()> {
    let mut stage = Stage::set(Ok).await?;
    let scene = &stage.scene;
    let networks = [
        SilentNetwork::before(scene.monolith_cluster.port()).await?,
        SilentNetwork::before(scene.contracts_cluster.port()).await?,
    ];
    let far = stage.banyan.clone();
    let far = far.set(
        "MONOLITH_DATABASE_URL",
        &networks[0].through(&scene.monolith_database()?)?,
    );
    let far = far.set(
        "CONTRACTS_DATABASE_URL",
        &networks[1].through(&scene.contracts_database()?)?,
    );
    stage.banyan = far;
    stage.serve(None).await?;
    stage.banyan.start().await?;
    stage.settled("following", "monolith").await?;
    let writer = stage.scene.project.start_writer(20, "vanished-cron")?;
    deadline::poll("a write", BOUND, || {
        Ok((!writer.writes()?.is_empty()).then_some(()))
    })
    .await?;
    for network in &networks {
        network.vanish();
    }

    let home = stage.scene.directory().path().join("other");
    let next = CommandLine::new(&patient(stage.scene.plan()?)?, &home)?;
    let logs = home.join("logs");
    std::fs::create_dir_all(&logs)?;
    let serve = next.serve(&logs).await?;
    let first = stage.serve.replace(serve);
    stage.banyan = next;
    deadline::until("the next one to follow", BOUND, async || {
        let now = stage.status().await?;
        Ok((now.phase == "following" && now.streams_run()).then_some(()))
    })
    .await?;
    stage.switch().await?;

    for network in &networks {
        network.come_back();
    }
    let mut first = first.context("banyan is not running")?;
    let exit = first.process().wait(BOUND).await?;
    ensure!(exit.code != 0, "the first ended with {exit:?}");
    stage.settled("switched", "service").await?;
    let written = writer.stop().await?;
    ensure!(!written.is_empty());
    stage.rollback().await?;
    stage.ensure_equal().await
}

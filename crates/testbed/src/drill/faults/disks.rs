//! Disks that are really full.

use super::super::ground::{Ground, LIMIT, SERVICE};
use crate::deadline;
use anyhow::{Context, Result, ensure};
use std::fs;

/// What the server logs then.
const FULL: &str = "No space left on device";

/// The data and the log of a side's server: statements fail, and once its log does
/// not fit, the server goes down. Then there is room again, and whoever watches over
/// servers starts it.
pub(super) async fn of_cluster(ground: &mut Ground, side: &str) -> Result<()> {
    let log = ground.cluster(side).log();
    let before = fs::read_to_string(&log)?.matches(FULL).count();
    let Some(disk) = ground.cluster(side).disk() else {
        return ground.skip("no disk could be mounted");
    };
    let seen = deadline::until("a full disk to be noticed", LIMIT, async || {
        // The server frees some of it now and then.
        disk.fill()?;
        let hit = fs::read_to_string(&log)?.matches(FULL).count() > before;
        let now = ground.status().await?;
        let in_trouble = now.streams().any(|stream| stream.trouble.is_some());
        Ok((hit && in_trouble).then_some(()))
    })
    .await;
    disk.free()?;
    seen?;
    ground.cluster_mut(side).revive().await
}

/// The state directory of `banyan serve`: nothing is decided, and a process that ends
/// meanwhile comes back once there is room.
pub(super) async fn of_state(ground: &mut Ground) -> Result<()> {
    let Some(disk) = &ground.state_disk else {
        return ground.skip("no disk could be mounted");
    };
    disk.fill()?;
    let refused = ground.banyan.run("switch", &["contracts", "--yes"]).await;
    disk.free()?;
    let refused = refused?;
    ensure!(
        refused.code != 0 && refused.stderr.contains("full"),
        "the switch ended with {}: {}{}",
        refused.code,
        refused.stdout,
        refused.stderr
    );
    ground.healthy("after the full disk").await?;
    let disk = ground.state_disk.as_ref().context("no disk")?;
    disk.fill()?;
    let mut serve = ground.serve.take().context("banyan is not running")?;
    serve.process().kill().await;
    let started = ground.serve().await;
    ground.state_disk.as_ref().context("no disk")?.free()?;
    if let Err(error) = started {
        let words = format!("{error:#}");
        ensure!(words.contains("full") || words.contains("space"), "{words}");
    }
    ground.serve().await?;
    ground.own(SERVICE).await
}

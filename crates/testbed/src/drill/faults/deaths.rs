//! `banyan serve` dies in the middle of a hand-over.

use super::super::ground::{Ground, LIMIT};
use anyhow::{Context, Result, ensure};
use std::time::Duration;

/// How often a hand-over is asked for until one is not refused.
const MOST_TRIES: usize = 8;

/// Within this a process that dies is gone.
const SOON: Duration = Duration::from_secs(2);

/// By SIGKILL, while clients are held and the lock is waited for.
pub(super) async fn during_a_hand_over(ground: &mut Ground, to: &str) -> Result<()> {
    let (asked, blocker) = ground.caught_handing_over(to).await?;
    let mut serve = ground.serve.take().context("banyan is not running")?;
    serve.process().kill().await;
    let asked = asked.await??;
    ensure!(asked.code != 0, "it went through: {}", asked.stdout);
    drop(blocker);
    ground.serve().await?;
    ground.healthy("after the death").await?;
    ground.own(to).await
}

/// At a failpoint, which a build for tests has: after an effect, before it was
/// written down.
pub(super) async fn at(ground: &mut Ground, failpoint: &str, to: &str) -> Result<()> {
    let mut serve = ground.serve.take().context("banyan is not running")?;
    serve.process().kill().await;
    let (banyan, logs) = (&ground.banyan, ground.scene.logs());
    let mut serve = banyan.serve_until(Some(failpoint), logs).await?;
    ground.healthy("before the death").await?;
    for _ in 0..MOST_TRIES {
        let asked = ground.begin(to).await??;
        ensure!(asked.code != 0, "it went through: {}", asked.stdout);
        // Its end is seen a moment after that of the client's connection.
        if serve.process().wait(SOON).await.is_ok() {
            break;
        }
        // Refused before it came to that.
        ground.follow_refusal(&asked.stderr).await?;
    }
    let exit = serve.process().wait(LIMIT).await?;
    ensure!(exit.code > 128, "the process ended with {}", exit.code);
    ground.serve().await?;
    ground.healthy("after the death").await?;
    ground.own(to).await
}

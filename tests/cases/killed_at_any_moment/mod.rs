//! SIGKILL at a random moment of a switch, several times: each time it is
//! either undone or completed, and no write is lost or doubled.

use crate::{seed, stage::Stage};
use anyhow::{Context, Result, ensure};
use rand::RngExt;
use std::time::{Duration, Instant};
use testbed::deadline;

const ROUNDS: u32 = 6;

/// How much later than an undisturbed switch's end the latest kill comes: some
/// hit what comes after it.
const LATEST: f64 = 1.3;

const SETTLE_LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment() -> Result<()> {
    let mut stage = Stage::following().await?;
    let traffic = stage.traffic().await?;
    let began = Instant::now();
    stage.switch().await?;
    let latest = began.elapsed().mul_f64(LATEST);
    let mut random = seed::generator("killer");
    for round in 1..=ROUNDS {
        let moment = random.random_range(Duration::ZERO..latest);
        let owner = stage.status().await?.owner;
        let verb = if owner == "service" {
            "rollback"
        } else {
            "switch"
        };
        let banyan = stage.banyan.clone();
        let asked = tokio::spawn(async move { banyan.run(verb, &["contracts", "--yes"]).await });
        let asked_at = Instant::now();
        // The moment is the point of the case, not a wait for something.
        tokio::time::sleep(moment).await;
        let mut serve = stage.serve.take().context("banyan is not running")?;
        serve.process().kill().await;
        let killed = asked_at.elapsed();
        let answer = asked.await??;

        stage.serve(None).await?;
        let settled = deadline::until("an owner", SETTLE_LIMIT, async || {
            let now = stage.status().await?;
            let is_settled = ["following", "switched"].contains(&now.phase.as_str())
                && ["monolith", "service"].contains(&now.owner.as_str())
                && now.streams_run();
            Ok(is_settled.then_some(now))
        })
        .await?;
        println!(
            "round {round}: {verb} killed after {} ms, the verb ended with {}; {} owns, epoch {}",
            killed.as_millis(),
            answer.code,
            settled.owner,
            settled.epoch
        );
        let moved = settled.owner != owner;
        ensure!(
            answer.code != 0 || moved,
            "the {verb} said that it succeeded, it did not"
        );
        traffic.more_writes(20).await?;
    }
    let (_, audit) = traffic.finish().await?;
    ensure!(
        audit.acknowledged > 100,
        "only {} writes",
        audit.acknowledged
    );
    stage.ensure_equal().await
}

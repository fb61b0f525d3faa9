//! Read-your-writes: what was acknowledged is waited for, and comes soon.

use crate::follow::scene::{LIMIT, Scene, sampled_and_reached};
use anyhow::{Result, ensure};
use protocol::{Side, stream::Direction};
use std::time::{Duration, Instant};
use testbed::cluster::Options;

/// What is not waited for by name comes with the server's next sign of life.
const UNPROMPTED: Duration = Duration::from_secs(10);

/// Prints how long something took, and tells what half of the times were below:
/// the slow ones may have waited for a processor.
fn summary(what: &str, times: &mut [Duration]) -> Duration {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "{what}: median {:?}, 99 % {:?}, maximum {:?}",
        at(50),
        at(99),
        at(100)
    );
    at(50)
}

async fn round_trips(options: &Options, times: usize) -> Result<()> {
    let scene = Scene::with("", options).await?;
    let forward = scene.follow(Direction::Forward);
    let reverse = scene.follow(Direction::Reverse);
    let user = scene.user(Side::Monolith).await?;
    let target = scene.user(Side::Service).await?;
    let sampler = scene.sampler(Side::Monolith);
    scene.caught_up(&forward, Side::Monolith).await?;
    scene.caught_up(&reverse, Side::Service).await?;
    let (mut moved, mut others) = (Vec::new(), Vec::new());
    for number in 0..times {
        // Every size, so that every offset in a page comes by.
        let ours = number % 2 == 0;
        let statement = if ours {
            format!(
                "insert into contracts (slot, note) values ({number}, repeat('x', {}))",
                number * 37 % 3000
            )
        } else {
            format!(
                "insert into unrelated (x) select {number} from generate_series(1, {})",
                1 + number % 97
            )
        };
        user.batch_execute(&statement).await?;
        let began = Instant::now();
        sampled_and_reached(&sampler, &forward, LIMIT).await?;
        if ours {
            moved.push(began.elapsed());
            let slot = i32::try_from(number)?;
            let found = target
                .query_opt("select 1 from svc.agreements where slot = $1", &[&slot])
                .await?;
            ensure!(found.is_some(), "reached, but not there");
        } else {
            others.push(began.elapsed());
        }
    }
    let slow = summary("moved tables", &mut moved).max(summary("other tables", &mut others));
    ensure!(slow < UNPROMPTED / 2, "half took {slow:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_in_a_row() -> Result<()> {
    round_trips(&Options::fast(), 500).await
}

#[tokio::test(flavor = "multi_thread")]
async fn on_disks_and_with_asynchronous_commits() -> Result<()> {
    round_trips(&Options::durable().setting("synchronous_commit", "off"), 60).await
}

/// An open transaction has written log that nobody flushes: the sampler does.
#[tokio::test(flavor = "multi_thread")]
async fn positions_inside_open_transactions() -> Result<()> {
    let scene = Scene::with("", &Options::fast().setting("wal_writer_delay", "10s")).await?;
    let forward = scene.follow(Direction::Forward);
    scene.caught_up(&forward, Side::Monolith).await?;
    let open = scene.user(Side::Monolith).await?;
    let sampler = scene.sampler(Side::Monolith);
    let mut times = Vec::new();
    for number in 0..30 {
        open.batch_execute(&format!(
            "begin; insert into unrelated (x) values ({number})"
        ))
        .await?;
        let began = Instant::now();
        sampled_and_reached(&sampler, &forward, LIMIT).await?;
        times.push(began.elapsed());
        open.batch_execute("rollback").await?;
    }
    ensure!(summary("open transactions", &mut times) < UNPROMPTED / 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sampling_over_restarts() -> Result<()> {
    let mut scene = Scene::new("").await?;
    let sampler = scene.sampler(Side::Monolith);
    let first = sampler.sample().await;
    ensure!(first.is_some());
    scene.monolith.kill().await;
    let gone = tokio::time::timeout(LIMIT, sampler.sample()).await?;
    ensure!(gone.is_none(), "a position of a server that is not there");
    scene.monolith.start().await?;
    testbed::deadline::until("a position again", LIMIT, async || {
        Ok(sampler.sample().await)
    })
    .await?;
    // Many at once share queries and all get an answer.
    let all = (0..200).map(|_| sampler.sample());
    let all = futures_util::future::join_all(all).await;
    ensure!(all.iter().all(Option::is_some));
    Ok(())
}

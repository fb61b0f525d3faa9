//! What the cases share that kill `banyan serve` in the middle of a hand-over.

use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use http::StatusCode;
use std::time::{Duration, Instant};
use testbed::deadline;
use testbed::http_client::{Call, Connection};

/// So long `banyan serve` has clients wait at most until the owners are known.
const ACCEPTED_WITHIN: Duration = Duration::from_secs(2);

const DEATH_LIMIT: Duration = Duration::from_secs(30);

/// Dies at a failpoint of the switch, starts again, and must settle with an owner;
/// then it must be able to go on. No write may be lost or doubled over it.
pub(crate) async fn dies_and_settles(failpoint: &str, phase: &str, owner: &str) -> Result<()> {
    dies_in(&["switch", "contracts", "--yes"], failpoint, phase, owner).await
}

/// The same in what these arguments of the command line begin.
pub(crate) async fn dies_in(
    arguments: &[&str],
    failpoint: &str,
    phase: &str,
    owner: &str,
) -> Result<()> {
    let mut stage = Stage::following_until(Some(failpoint), Ok).await?;
    stage.banyan.shift("50%").await?;
    let traffic = stage.traffic().await?;

    traffic.workload.begin_phase("crash");
    let (verb, rest) = arguments.split_first().context("no verb")?;
    let answer = stage.banyan.run(verb, rest).await?;
    ensure!(
        answer.code != 0,
        "the {verb} says that it succeeded: {}",
        answer.stdout
    );
    println!(
        "banyan {verb} ended with {}: {}",
        answer.code,
        answer.stderr.trim()
    );
    let mut serve = stage.serve.take().context("banyan is not running")?;
    let exit = serve.process().wait(DEATH_LIMIT).await?;
    ensure!(exit.code > 128, "it ended by itself with {}", exit.code);

    let gateway = serve.gateway().to_owned();
    let restarted = Instant::now();
    let (started, answer) = tokio::join!(stage.serve(None), first_answer(&gateway));
    started?;
    let answer = answer?;
    // Whoever owns may not be known within that on a busy machine.
    ensure!(
        answer == StatusCode::OK || restarted.elapsed() > ACCEPTED_WITHIN,
        "the first client after the restart got {answer}"
    );
    let settled = stage.settled(phase, owner).await?;
    println!(
        "settled: {} owns, epoch {}, {:?}",
        owner, settled.epoch, settled.last_handover
    );
    let ended = settled.last_handover.context("no hand-over is shown")?;
    let outcome = if owner == "service" {
        "committed"
    } else {
        "aborted"
    };
    ensure!(
        (ended.outcome.as_str(), ended.epoch) == (outcome, 1),
        "the hand-over that was interrupted is shown as {ended:?}"
    );
    traffic.workload.begin_phase("settling");
    traffic.more_writes(20).await?;

    traffic.workload.begin_phase("after");
    if owner == "monolith" {
        stage.switch().await?;
        traffic.more_writes(20).await?;
    }
    stage.rollback().await?;
    traffic.more_writes(20).await?;
    let (finished, _) = traffic.finish().await?;
    let after = finished.phases.last().context("no phases")?;
    ensure!(
        after.counts.failed == 0,
        "failures after the restart: {:#?}",
        finished.failures
    );
    stage.ensure_equal().await
}

/// What the first client is told by whoever listens there next.
async fn first_answer(gateway: &str) -> Result<StatusCode> {
    deadline::until("a first answer", DEATH_LIMIT, async || {
        let mut connection = Connection::new(gateway)?;
        let read = Call::get("/api/contracts").by(Some(7));
        let answer = connection.send(&read, DEATH_LIMIT).await;
        Ok(answer.ok().map(|answer| answer.status))
    })
    .await
}

//! A transaction that holds on to a table makes the switch abort in time: held
//! requests go on to the monolith, no client notices more than a delay.

use crate::stage::Stage;
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

/// The plan's hold of 10 s, its drain of 5 s, and room for a slow machine.
const ABORT_LIMIT: Duration = Duration::from_secs(25);

#[tokio::test(flavor = "multi_thread")]
async fn long_transaction_aborts() -> Result<()> {
    let stage = Stage::following().await?;
    let traffic = stage.traffic().await?;
    let writer = stage.unfinished_writer().await?;

    let began = Instant::now();
    let handover = stage.banyan.switch().await?;
    let took = began.elapsed();
    println!(
        "aborted after {took:?}: {} ({:?})",
        handover.reason(),
        handover.steps
    );
    ensure!(
        !handover.is_committed(),
        "the switch went through past an open transaction"
    );
    ensure!(took < ABORT_LIMIT, "the abort took {took:?}");
    stage.settled("following", "monolith").await?;
    traffic.more_writes(20).await?;

    writer.give_up().await?;
    stage.switch().await?;
    traffic.more_writes(20).await?;
    traffic.finish_unnoticed().await
}

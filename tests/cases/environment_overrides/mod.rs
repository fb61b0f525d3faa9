//! `CANARY_PERCENTAGE` shifts the reads when `banyan serve` starts;
//! `ROUTE_TO_MONOLITH` takes them back and, after a switch, rolls back, so that
//! no write is lost.

use crate::stage::{Stage, TRAFFIC_LIMIT, patient};
use anyhow::{Result, ensure};
use testbed::banyan::Plan;
use testbed::deadline;

/// The same plan for a process with other variables.
async fn serve_with(stage: &mut Stage, plan: &Plan, name: &str, value: &str) -> Result<()> {
    if let Some(serve) = stage.serve.take() {
        serve.stop().await;
    }
    let plan = plan.clone().set(name, value);
    stage.banyan = stage.scene.command_line(&plan)?;
    stage.serve(None).await
}

async fn reads_are(stage: &Stage, percent: f64) -> Result<()> {
    let what = format!("{percent}% of the reads to be shifted");
    deadline::until(&what, TRAFFIC_LIMIT, async || {
        let status = stage.status().await?;
        let is_it = (status.reads_percent - percent).abs() < 0.001;
        Ok(is_it.then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn environment_overrides() -> Result<()> {
    let mut stage = Stage::set(Ok).await?;
    let plan = patient(stage.scene.plan()?)?;

    // Asked before there is anything to read from: it holds once there is.
    serve_with(&mut stage, &plan, "CANARY_PERCENTAGE", "25").await?;
    stage.banyan.start().await?;
    stage.settled("following", "monolith").await?;
    reads_are(&stage, 25.0).await?;
    // Its writes have one owner.
    let writes = ["contracts", "--reads", "5%", "--writes", "5%"];
    let refused = stage.banyan.run("shift", &writes).await?;
    ensure!(
        refused.code == 2 && refused.flat().contains("needs `mode: shared`"),
        "{}: {}",
        refused.code,
        refused.stderr
    );
    reads_are(&stage, 25.0).await?;

    serve_with(&mut stage, &plan, "ROUTE_TO_MONOLITH", "True").await?;
    stage.settled("following", "monolith").await?;
    reads_are(&stage, 0.0).await?;

    serve_with(&mut stage, &plan, "CANARY_PERCENTAGE", "100").await?;
    stage.settled("following", "monolith").await?;
    reads_are(&stage, 100.0).await?;
    stage.banyan.verify().await?;
    let traffic = stage.traffic().await?;
    stage.switch().await?;
    traffic.more_writes(20).await?;
    // The gateway goes away for a moment, so clients may notice; the data must
    // be right all the same.
    serve_with(&mut stage, &plan, "ROUTE_TO_MONOLITH", "true").await?;
    stage.settled("following", "monolith").await?;
    reads_are(&stage, 0.0).await?;
    traffic.more_writes(20).await?;
    let (_, audit) = traffic.finish().await?;
    ensure!(
        audit.acknowledged >= 60,
        "only {} writes",
        audit.acknowledged
    );
    stage.ensure_equal().await
}

//! A changed plan and new processes, again and again, while clients work: no
//! request fails, nothing is lost, doubled or stale. What cannot be taken is
//! refused, and the one that runs goes on.

use crate::stage::Stage;
use anyhow::{Result, ensure};
use std::fs;

/// Beside the extraction's routes.
const ROUTE: &str =
    "\n  routes: { health: { to: contracts, path: /service/health, strip-path: true } }";

/// Refused: it says who a client is.
const KEY: &str = "key: { header: x-user-id }";
const OTHER_KEY: &str = "key: { cookie: sessionid }";

#[tokio::test(flavor = "multi_thread")]
async fn taken_over() -> Result<()> {
    let mut stage = Stage::following().await?;
    let traffic = stage.traffic().await?;
    reload(&stage).await?;
    traffic.more_writes(20).await?;

    stage.take_over().await?;
    stage.settled("following", "monolith").await?;
    traffic.more_writes(20).await?;
    stage.banyan.shift("50%").await?;
    traffic.more_writes(20).await?;
    stage.switch().await?;
    traffic.more_writes(20).await?;

    stage.take_over().await?;
    stage.settled("switched", "service").await?;
    traffic.more_writes(20).await?;
    stage.rollback().await?;
    traffic.more_writes(20).await?;

    let (finished, _audit) = traffic.finish().await?;
    ensure!(
        finished.total.failed == 0,
        "{} requests failed: {:#?}",
        finished.total.failed,
        finished.failures
    );
    stage.ensure_equal().await
}

/// A plan that can be taken, and then one that cannot.
async fn reload(stage: &Stage) -> Result<()> {
    let path = stage.banyan.plan();
    let plan = fs::read_to_string(path)?;
    let more = plan.replacen("\n  workers: 1", &format!("\n  workers: 1{ROUTE}"), 1);
    ensure!(more != plan, "the plan has no workers");
    fs::write(path, &more)?;
    stage.banyan.run("reload", &[]).await?.successful()?;
    let routes = stage.banyan.run("routes", &[]).await?.successful()?;
    ensure!(
        routes.stdout.contains("/service/health"),
        "{}",
        routes.stdout
    );

    let wrong = more.replacen(KEY, OTHER_KEY, 1);
    ensure!(wrong != more, "the plan has no key");
    fs::write(path, wrong)?;
    let refused = stage.banyan.run("reload", &[]).await?;
    ensure!(refused.code == 2, "exit code {}", refused.code);
    ensure!(
        refused.stderr.contains("extractions.contracts.rollout.key"),
        "{}",
        refused.stderr
    );
    fs::write(path, more)?;
    Ok(())
}

//! A changed plan and new processes, again and again, while clients work: no
//! request fails, nothing is lost, doubled or stale. What cannot be taken is
//! refused, and the one that runs goes on.

use crate::stage::Stage;
use anyhow::{Context, Result, bail, ensure};
use std::{
    fs,
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};
use testbed::deadline;

/// Beside the extraction's routes.
const ROUTE: &str =
    "\n  routes: { health: { to: contracts, path: /service/health, strip-path: true } }";

/// The journal and the databases were somebody else's just now.
const RESUME_LIMIT: Duration = Duration::from_secs(20);

/// Longer than the one that runs needs to find its address taken.
const SQUAT: Duration = Duration::from_secs(1);

/// Refused: it says who a client is.
const KEY: &str = "key: { header: x-user-id }";
const OTHER_KEY: &str = "key: { cookie: sessionid }";

#[tokio::test(flavor = "multi_thread")]
async fn taken_over() -> Result<()> {
    let mut stage = Stage::following().await?;
    let traffic = stage.traffic().await?;
    reload(&stage).await?;
    traffic.more_writes(20).await?;
    fail_to_take_over(&stage).await?;
    goes_on(&stage).await?;
    traffic.more_writes(20).await?;
    give_up_taking_over(&stage).await?;
    goes_on(&stage).await?;
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

/// The one that runs decides again. Nobody can be asked before it does.
async fn goes_on(stage: &Stage) -> Result<()> {
    deadline::until("an answer to `status`", RESUME_LIMIT, async || {
        Ok(stage.status().await.ok())
    })
    .await?;
    stage.settled("following", "monolith").await?;
    Ok(())
}

/// A successor that fails once nobody else decides any more: the one that runs
/// decides again, and routes meanwhile. Its own address is not free at once.
async fn fail_to_take_over(stage: &Stage) -> Result<()> {
    let serve = stage.serve.as_ref().context("banyan is not running")?;
    let control = serve.control().trim_start_matches("http://").to_owned();
    let squatter = tokio::task::spawn_blocking(move || squat(&control));
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let successor = stage.banyan.clone().set("CONTROL_LISTEN", &address);
    let failed = successor.run("serve", &["--take-over"]).await?;
    ensure!(failed.code == 2, "exit code {}", failed.code);
    ensure!(failed.flat().contains(&address), "{}", failed.stderr);
    let squatter = squatter.await??;
    tokio::time::sleep(SQUAT).await;
    drop(squatter);
    Ok(())
}

/// Takes the address in the moment in which it is free.
fn squat(address: &str) -> Result<TcpListener> {
    let until = Instant::now() + RESUME_LIMIT;
    loop {
        match TcpListener::bind(address) {
            Ok(taken) => return Ok(taken),
            Err(error) if Instant::now() > until => bail!("{address}: {error}"),
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// A successor that does not find out who owns: for longer than a lease, nobody
/// decides.
async fn give_up_taking_over(stage: &Stage) -> Result<()> {
    let silent = testbed::ports::free()?;
    let nowhere = format!("postgres://nobody@127.0.0.1:{silent}/nothing");
    let successor = ["MONOLITH_DATABASE_URL", "CONTRACTS_DATABASE_URL"]
        .iter()
        .fold(stage.banyan.clone(), |it, name| it.set(name, &nowhere));
    let failed = successor.run("serve", &["--take-over"]).await?;
    ensure!(failed.code == 2, "exit code {}", failed.code);
    ensure!(
        failed.flat().contains("who owns is not known"),
        "{}",
        failed.stderr
    );
    Ok(())
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
        refused.flat().contains("extractions.contracts.rollout.key"),
        "{}",
        refused.stderr
    );
    fs::write(path, more)?;
    Ok(())
}

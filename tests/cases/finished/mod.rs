//! A switched extraction is finished: the service keeps it, nothing of Banyan's
//! is left in either database, and the printed routes take the extraction's place.

use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::time::Duration;
use testbed::catalogue::Catalogue;
use testbed::http_client::{self, Call};

const TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_switched_extraction_is_finished() -> Result<()> {
    let mut stage = Stage::set(Ok).await?;
    let (monolith, service) = stage.scene.superusers().await?;
    let before = (
        Catalogue::read(&monolith).await?,
        Catalogue::read(&service).await?,
    );
    stage.serve(None).await?;
    stage.banyan.start().await?;
    stage.settled("following", "monolith").await?;
    refused(&stage, "finish", "banyan switch").await?;
    stage.banyan.shift("10%").await?;
    stage.switch().await?;
    stage.settled("switched", "service").await?;
    refused(&stage, "withdraw", "banyan rollback").await?;

    let finished = stage.banyan.run("finish", &["contracts", "--yes"]).await?;
    let finished = finished.successful()?;
    before
        .0
        .ensure_unchanged(&Catalogue::read(&monolith).await?, "monolith")?;
    before
        .1
        .ensure_unchanged(&Catalogue::read(&service).await?, "service")?;
    stage.settled("finished", "service").await?;
    for verb in ["rollback", "cancel", "start"] {
        refused(&stage, verb, "for good").await?;
    }
    nothing_is_to_be_emptied(&stage).await?;
    let brown_out = [
        "contracts",
        "--for",
        "1m",
        "--sunset",
        "2090-01-31",
        "--yes",
        "--by",
        "ada",
    ];
    let nobody = stage.banyan.run("brown-out", &brown_out).await?;
    let told = nobody.flat();
    ensure!(
        nobody.code == 2 && told.contains("names no old way"),
        "{nobody:?}"
    );
    // Again, as after a lost reply; and after a restart.
    drop(stage.serve.take().context("it does not run")?);
    nothing_is_to_be_emptied(&stage).await?;
    let journal = stage.banyan.run("journal", &["contracts"]).await?;
    ensure!(journal.code == 0, "of who was killed: {journal:?}");
    stage.serve(None).await?;
    stage.settled("finished", "service").await?;
    let again = stage.banyan.run("finish", &["contracts", "--yes"]).await?;
    ensure!(again.successful()?.stdout == finished.stdout);
    everything_at_the_service(&stage).await?;

    // What was printed takes the extraction's place.
    let (_, routes) = finished
        .stdout
        .split_once("\ngateway:\n")
        .context("no routes")?;
    let plan = fs::read_to_string(stage.banyan.plan())?;
    let (head, _) = plan
        .split_once("\nextractions:\n")
        .context("no extractions")?;
    let plan = head.replace(
        "\ngateway:\n",
        &format!("\ngateway:\n{}\n", routes.trim_end()),
    );
    fs::write(stage.banyan.plan(), format!("{plan}\nextractions: {{}}\n"))?;
    stage.take_over().await?;
    everything_at_the_service(&stage).await?;
    let status = stage.banyan.status().await?;
    ensure!(status.extractions.is_empty(), "{status:?}");
    Ok(())
}

async fn refused(stage: &Stage, verb: &str, words: &str) -> Result<()> {
    let asks = ["finish", "rollback", "cancel"].contains(&verb);
    let arguments: &[&str] = if asks {
        &["contracts", "--yes"]
    } else {
        &["contracts"]
    };
    let refused = stage.banyan.run(verb, arguments).await?;
    ensure!(
        refused.code == 2 && refused.flat().contains(words),
        "{verb} ended with {}: {}",
        refused.code,
        refused.stderr
    );
    Ok(())
}

/// Reads of many clients, and what stays with the monolith, which waits for nothing.
async fn everything_at_the_service(stage: &Stage) -> Result<()> {
    let stays = Call::get("/api/parties").by(Some(1));
    let answer = http_client::call(stage.gateway()?, &stays, TIMEOUT).await?;
    ensure!(answer.status == 200, "{answer:?}");
    for reader in 1..=20 {
        let read = Call::get("/api/contracts").by(Some(reader));
        let answer = http_client::call(stage.gateway()?, &read, TIMEOUT).await?;
        ensure!(answer.side() == Some("service"), "{answer:?}");
    }
    Ok(())
}

/// What the service's tables hold is the only copy by now.
async fn nothing_is_to_be_emptied(stage: &Stage) -> Result<()> {
    let check = stage.banyan.run("check", &[]).await?;
    ensure!(
        check.code == 0 && !check.stdout.contains("TRUNCATE"),
        "{check:?}"
    );
    Ok(())
}

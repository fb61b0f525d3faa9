//! What still comes for the old side of a switched extraction is refused for a while: those
//! requests and no others, over a restart no longer than it was begun for, and not at all
//! once a rollback has begun. Who came is known afterwards.

use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::time::{Duration, SystemTime};
use testbed::{
    deadline,
    http_client::{self, Answer, Call},
    process::Finished,
};

const LIMIT: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn who_still_comes_for_an_old_side_is_found() -> Result<()> {
    let old_way = "\n  workers: 1\n  routes:\n    parties: { to: monolith, path: /api/parties, \
        retires-with: contracts }";
    let mut stage =
        Stage::following_until(None, |plan| plan.replace("\n  workers: 1", old_way)).await?;
    let early = begin(&stage, "10m").await?;
    ensure!(
        early.code == 2 && early.flat().contains("its owner monolith"),
        "{early:?}"
    );
    stage.banyan.shift("100%").await?;
    stage.switch().await?;
    ensure!(old(&stage).await?.status == 200);
    for (arguments, says) in [
        (["--for", "2h", "--sunset"], "one hour"),
        (["--for", "10m", "--sunset"], "there is no terminal"),
    ] {
        let day = sunset();
        let mut all = vec!["contracts", "--by", "ada"];
        all.extend(arguments);
        all.push(&day);
        if says != "there is no terminal" {
            all.push("--yes");
        }
        let refused = stage.banyan.run("brown-out", &all).await?;
        ensure!(
            refused.code == 2 && refused.flat().contains(says),
            "{refused:?}"
        );
    }

    begin(&stage, "10m").await?.successful()?;
    refused(&old(&stage).await?)?;
    ensure!(own(&stage).await? == 200);
    ensure!(stage.create_contract("meanwhile").await? == 201);
    let again = begin(&stage, "10m").await?;
    ensure!(
        again.code == 2 && again.flat().contains("--end"),
        "{again:?}"
    );
    let told = stage.banyan.run("status", &[]).await?.successful()?.stdout;
    ensure!(told.contains("contracts: brown-out: until"), "{told}");
    ensure!(
        told.lines().all(|line| line.chars().count() <= 80),
        "{told}"
    );

    // A process that is killed neither prolongs nor forgets it.
    let until = ends_at(&stage).await?;
    drop(stage.serve.take().context("it does not run")?);
    stage.serve(None).await?;
    stage.settled("switched", "service").await?;
    deadline::until("the old way to be refused again", LIMIT, async || {
        Ok((old(&stage).await?.status == 410).then_some(()))
    })
    .await?;
    ensure!(ends_at(&stage).await? == until, "it is longer, or shorter");

    let end = ["contracts", "--end", "--by", "ada"];
    stage.banyan.run("brown-out", &end).await?.successful()?;
    ensure!(old(&stage).await?.status == 200);
    // It ends by itself.
    begin(&stage, "2s").await?.successful()?;
    over(&stage).await?;
    ensure!(old(&stage).await?.status == 200);
    // A rollback ends it at once, and a later switch begins none.
    begin(&stage, "10m").await?.successful()?;
    stage.rollback().await?;
    ensure!(old(&stage).await?.status == 200);
    over(&stage).await?;
    stage.switch().await?;
    ensure!(old(&stage).await?.status == 200);

    let journal = stage.banyan.run("journal", &["contracts"]).await?;
    let journal = journal.successful()?.flat();
    for told in [
        "The old ways are refused until",
        "The brown-out was ended.",
        "The brown-out was over.",
        "did not get all requests.",
    ] {
        ensure!(journal.contains(told), "{told}: {journal}");
    }
    deadline::until("the callers to be named", LIMIT, async || {
        let shown = stage.banyan.run("retire", &["contracts"]).await?;
        Ok(shown
            .flat()
            .contains("`GET /api/parties` by `old-job`")
            .then_some(()))
    })
    .await?;
    stage.ensure_equal().await
}

async fn begin(stage: &Stage, lasts: &str) -> Result<Finished> {
    let day = sunset();
    let arguments = [
        "contracts",
        "--for",
        lasts,
        "--sunset",
        &day,
        "--yes",
        "--by",
        "ada",
    ];
    stage.banyan.run("brown-out", &arguments).await
}

/// A day in the year after the next.
fn sunset() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let years = now.map_or(0, |now| now.as_secs() / 31_556_952);
    format!("{}-01-31", 1972 + years)
}

async fn old(stage: &Stage) -> Result<Answer> {
    let call = Call::get("/api/parties").by(Some(1));
    let call = call.header("user-agent", "old-job/1.2".parse()?);
    http_client::call(stage.gateway()?, &call, LIMIT).await
}

async fn own(stage: &Stage) -> Result<u16> {
    let call = Call::get("/api/contracts").by(Some(1));
    let answer = http_client::call(stage.gateway()?, &call, LIMIT).await?;
    Ok(answer.status.as_u16())
}

fn refused(answer: &Answer) -> Result<()> {
    let header = |name| {
        answer
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let day = format!("31 Jan {}", &sunset()[..4]);
    ensure!(
        answer.status == 410
            && header("deprecation").is_some_and(|date| date.starts_with('@'))
            && header("sunset").is_some_and(|date| date.contains(&day) && date.ends_with("GMT"))
            && header("content-type") == Some("application/problem+json"),
        "{answer:?}"
    );
    Ok(())
}

async fn ends_at(stage: &Stage) -> Result<Value> {
    let status = stage.status_as_json().await?;
    ensure!(status["brown_out"]["until_ms"].is_i64(), "{status:#}");
    Ok(status["brown_out"]["until_ms"].clone())
}

async fn over(stage: &Stage) -> Result<()> {
    deadline::until("the brown-out to be over", LIMIT, async || {
        let status = stage.status_as_json().await?;
        Ok(status["brown_out"].is_null().then_some(()))
    })
    .await
}

//! An extraction of the example is finished and retired: the old side is watched over a
//! restart, whoever uses it begins the time anew, and the files that come of it remove it.

use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{fs, path::Path, time::Duration};
use testbed::{
    cluster::Installation,
    deadline,
    http_client::{self, Call},
    process::{self, Finished, Spec},
    scene::MONOLITH_DATABASE,
};

const LIMIT: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread")]
async fn an_old_side_is_proven_unused_and_removed() -> Result<()> {
    let lists = "\nchecklists:\n  lists:\n    decommissioning: [migrated, tables-unused, \
        routes-unused, team-trained]\n\nextractions:\n";
    let asked = "\n    retire: { quiet: 8s }\n    switch:";
    let mut stage = Stage::set(|plan| {
        plan.replace("\nextractions:\n", lists)?
            .replace("\n    switch:", asked)
    })
    .await?;
    stage.serve(None).await?;
    stage.banyan.start().await?;
    stage.settled("following", "monolith").await?;
    stage.banyan.shift("10%").await?;
    stage.switch().await?;
    stage.settled("switched", "service").await?;
    let to = stage.scene.directory().path().join("retired");
    let early = retire(&stage, &to).await?;
    ensure!(
        early.code == 2 && early.flat().contains("banyan finish"),
        "{early:?}"
    );
    let finished = stage.banyan.run("finish", &["contracts", "--yes"]).await?;
    finished.successful()?;

    quiet(&stage, 2).await?;
    let (monolith, _) = stage.scene.superusers().await?;
    monolith
        .batch_execute("select count(*) from contracts_contract")
        .await?;
    let used = deadline::until("the time to begin anew", LIMIT, async || {
        let refused = retire(&stage, &to).await?;
        ensure!(refused.code == 2, "{refused:?}");
        Ok(refused
            .flat()
            .contains("was read 1 times")
            .then_some(refused))
    })
    .await?;
    ensure!(used.flat().contains("contracts_contract"), "{used:?}");
    // Over a restart nothing is lost: the routes are quiet since before it.
    let before = quiet(&stage, 2).await?;
    drop(stage.serve.take().context("it does not run")?);
    stage.serve(None).await?;
    let after = quiet(&stage, 3).await?;
    ensure!(after == before, "since {after}, and {before} before");
    let mut last = String::new();
    let open = deadline::until("the old side to be quiet", LIMIT, async || {
        last = retire(&stage, &to).await?.flat();
        Ok(last.contains("not done of").then(|| last.clone()))
    })
    .await
    .with_context(|| last.clone())?;
    ensure!(
        open.contains("team-trained") && !open.contains("unused"),
        "{open}"
    );
    let attested = [
        "contracts",
        "team-trained",
        "--note",
        "in June",
        "--by",
        "ada",
    ];
    stage.banyan.run("attest", &attested).await?.successful()?;

    the_files_are_right(&stage, &to).await
}

/// The files: what stands in the way is named, they are what was signed, and the script
/// does what it says.
async fn the_files_are_right(stage: &Stage, to: &Path) -> Result<()> {
    let (monolith, _) = stage.scene.superusers().await?;
    // The example's other tables refer to the contracts.
    let refused = retire(stage, to).await?;
    ensure!(
        refused.code == 2 && refused.flat().contains("drop constraint"),
        "{refused:?}"
    );
    ensure!(!to.join("remove-old-tables.sql").exists());
    for statement in refused
        .stderr
        .replace('\n', " ")
        .split('`')
        .skip(1)
        .step_by(2)
    {
        monolith.batch_execute(statement).await?;
    }
    // The archive has read the tables: what is there is not asked for again.
    let made = retire(stage, to).await?.successful()?;
    ensure!(
        made.stdout.lines().all(|line| line.chars().count() <= 100),
        "{}",
        made.stdout
    );
    let certificate = to.join("certificate.json");
    let content: Value = serde_json::from_str(&fs::read_to_string(&certificate)?)?;
    ensure!(
        content["content"]["evidence"]["enough"] == true,
        "{content:#}"
    );
    ensure!(
        content["content"]["journal"]["hash"].is_string(),
        "{content:#}"
    );
    let check = |file: &Path| {
        let file = file.to_string_lossy().into_owned();
        let banyan = &stage.banyan;
        async move { banyan.run("retire", &["--check", &file]).await }
    };
    check(&certificate).await?.successful()?;
    check(&to.join("archive.json")).await?.successful()?;
    let forged = to.join("forged.json");
    let text = fs::read_to_string(&certificate)?;
    fs::write(&forged, text.replace("\"contracts\"", "\"parcels\""))?;
    let refused = check(&forged).await?;
    ensure!(
        refused.code == 2 && refused.flat().contains("changed since"),
        "{refused:?}"
    );

    // Its reviewer runs the script, and everything goes on at the service.
    psql(stage, &to.join("remove-old-tables.sql"))
        .await?
        .successful()?;
    let left = "select count(*) from pg_class where relname = 'contracts_contract'";
    let left: i64 = monolith.query_one(left, &[]).await?.get(0);
    ensure!(left == 0, "the old table is still there");
    for path in ["/api/parties", "/api/contracts"] {
        let call = Call::get(path).by(Some(1));
        let answer = http_client::call(stage.gateway()?, &call, LIMIT).await?;
        ensure!(answer.status == 200, "{path}: {answer:?}");
    }
    Ok(())
}

async fn retire(stage: &Stage, to: &Path) -> Result<Finished> {
    let to = to.to_string_lossy();
    stage
        .banyan
        .run("retire", &["contracts", "--to", &to])
        .await
}

/// Waits until the routes were quiet for so many seconds; since when they were.
async fn quiet(stage: &Stage, wanted: i64) -> Result<i64> {
    let to = stage.scene.directory().path().join("unused");
    let to = to.to_string_lossy().into_owned();
    deadline::until("the routes to be quiet", LIMIT, async || {
        let arguments = ["contracts", "--to", &to, "--json"];
        let shown = stage.banyan.run("retire", &arguments).await?;
        let shown: Value = serde_json::from_str(&shown.stdout).unwrap_or_default();
        let routes = &shown["routes"];
        let seconds = routes["quiet_ms"].as_i64().unwrap_or(0) / 1000;
        Ok(routes["since_ms"].as_i64().filter(|_| seconds >= wanted))
    })
    .await
}

async fn psql(stage: &Stage, file: &Path) -> Result<Finished> {
    let cluster = &stage.scene.monolith_cluster;
    let socket = cluster.socket();
    let home = socket.parent().context("a socket without a directory")?;
    let psql = Spec::new("psql", Installation::find()?.program("psql"))
        .args(["--no-psqlrc", "--quiet", "--file"])
        .arg(file)
        .arg("--host")
        .arg(home)
        .args(["--port", &cluster.port().to_string()])
        .args(["--username", "testbed", "--dbname", MONOLITH_DATABASE]);
    process::run(&psql, LIMIT).await
}

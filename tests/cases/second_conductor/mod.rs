//! A second `banyan serve` where one is at work, or was: it says whom it found,
//! changes nothing, and ends; the healthy one goes on.

use crate::stage::{Stage, patient};
use anyhow::{Result, ensure};
use std::{fs, path::Path};
use testbed::banyan::CommandLine;
use testbed::process::Finished;
use testbed::scene::{CONTRACTS_DATABASE, MONOLITH_DATABASE};

const ROW: &str = "SELECT o::text FROM banyan.owner o";
const REFUSED: i32 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn second_conductor() -> Result<()> {
    let mut stage = Stage::following().await?;
    let traffic = stage.traffic().await?;
    let before = rows(&stage).await?;
    let refused = another(&stage, "other")?.run("serve", &[]).await?;
    says(&refused, "is in charge of another `banyan serve`")?;
    says(&refused, "at the monolith's database pid ")?;
    ensure!(before == rows(&stage).await?, "it has claimed");
    traffic.more_writes(20).await?;
    stage.settled("following", "monolith").await?;
    stage.switch().await?;
    traffic.more_writes(20).await?;
    traffic.finish_unnoticed().await?;

    stop(&mut stage).await?;
    let old = another(&stage, "old")?;
    copy(stage.banyan.state(), old.state())?;
    stage.serve(None).await?;
    stage.settled("switched", "service").await?;
    stop(&mut stage).await?;
    let before = rows(&stage).await?;
    let refused = old.run("serve", &[]).await?;
    says(&refused, "which is none of this state directory's")?;
    says(&refused, "move journal.db out of this one")?;
    ensure!(before == rows(&stage).await?, "it has claimed");

    stage.serve(None).await?;
    stage.settled("switched", "service").await?;
    let traffic = stage.traffic().await?;
    stage.rollback().await?;
    traffic.more_writes(20).await?;
    traffic.finish_unnoticed().await?;
    stage.ensure_equal().await
}

/// Another command line, with ports and a state directory of its own.
fn another(stage: &Stage, home: &str) -> Result<CommandLine> {
    let home = stage.scene.directory().path().join(home);
    CommandLine::new(&patient(stage.scene.plan()?)?, &home)
}

async fn stop(stage: &mut Stage) -> Result<()> {
    if let Some(serve) = stage.serve.take() {
        let exit = serve.stop().await;
        ensure!(exit.code == 0, "banyan serve ended with {}", exit.code);
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

async fn rows(stage: &Stage) -> Result<[String; 2]> {
    let (old, new) = (
        &stage.scene.monolith_cluster,
        &stage.scene.contracts_cluster,
    );
    let (old, new) = (
        old.superuser(MONOLITH_DATABASE).await?,
        new.superuser(CONTRACTS_DATABASE).await?,
    );
    Ok([
        old.query_one(ROW, &[]).await?.get(0),
        new.query_one(ROW, &[]).await?.get(0),
    ])
}

fn says(finished: &Finished, words: &str) -> Result<()> {
    let (code, said) = (finished.code, finished.flat());
    ensure!(code == REFUSED, "exit code {code}: {said}");
    ensure!(said.contains(words), "no `{words}` in: {said}");
    Ok(())
}

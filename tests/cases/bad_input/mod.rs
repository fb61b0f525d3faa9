//! Wrong plans, databases and servers: each gets one clear message that names
//! the object and the remedy, exit code 2, and nothing is changed anywhere.

mod wrong;

use anyhow::{Context, Result, bail, ensure};
use std::net::TcpListener;
use std::time::Duration;
use testbed::banyan::{CommandLine, Plan};
use testbed::catalogue::{Catalogue, row_counts};
use testbed::cluster::{Cluster, Options, Rights};
use testbed::pooler::Pooler;
use testbed::scene::{CONTRACTS_DATABASE, MONOLITH_DATABASE, Scene, Settings};
use wrong::{Trial, Wrong};

const REFUSED: i32 = 2;

/// A refusal is quick, or it is a hang.
const TIME_LIMIT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn bad_input() -> Result<()> {
    let mut scene = Scene::set(&Settings::fast(50), &|_| {}).await?;
    scene
        .monolith_cluster
        .create_role("plain_mover", Rights::Plain)
        .await?;
    let pooler = Pooler::start(&scene.monolith_cluster.socket()).await?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let own_port = format!(":{}/", scene.monolith_cluster.port());
    let ground = wrong::Ground {
        plain_mover: scene
            .monolith_cluster
            .url("plain_mover", MONOLITH_DATABASE)?,
        pooled: scene
            .monolith_database()?
            .replace(&own_port, &format!(":{}/", pooler.port())),
        wrong_password: format!(
            "postgres://banyan:wrong@127.0.0.1:{}/{CONTRACTS_DATABASE}",
            scene.contracts_cluster.port()
        ),
        nobody: testbed::ports::free()?,
        taken: taken.local_addr()?.port(),
    };

    // The same plan without a fault passes, so that what follows is the fault's.
    let finished = command_line(&scene, "right", Ok)?.run("check", &[]).await?;
    ensure!(
        finished.code == 0,
        "the plan is refused as it is: {}",
        finished.flat()
    );

    let mut mistakes = Vec::new();
    for wrong in wrong::all(&ground) {
        if let Err(error) = try_one(&mut scene, &wrong).await {
            mistakes.push(format!("{}: {error:#}", wrong.name));
        }
    }
    ensure!(
        mistakes.is_empty(),
        "{} mistakes:\n{}",
        mistakes.len(),
        mistakes.join("\n\n")
    );
    Ok(())
}

fn command_line(
    scene: &Scene,
    name: &str,
    edit: impl Fn(Plan) -> Result<Plan>,
) -> Result<CommandLine> {
    let home = scene.directory().path().join(name.replace(' ', "-"));
    CommandLine::new(&edit(scene.plan()?)?, &home)
}

async fn try_one(scene: &mut Scene, wrong: &Wrong) -> Result<()> {
    for (database, settings) in &wrong.servers {
        let options = settings
            .iter()
            .fold(Options::fast(), |options, (name, value)| {
                options.setting(name, value)
            });
        cluster(scene, database)?.restart(&options).await?;
    }
    for (database, sql, _) in &wrong.sql {
        cluster(scene, database)?
            .superuser(database)
            .await?
            .batch_execute(sql)
            .await?;
    }
    let result = refuse(scene, wrong).await;
    for (database, _, undo) in wrong.sql.iter().rev() {
        cluster(scene, database)?
            .superuser(database)
            .await?
            .batch_execute(undo)
            .await?;
    }
    for (database, _) in &wrong.servers {
        cluster(scene, database)?.restart(&Options::fast()).await?;
    }
    result
}

async fn refuse(scene: &Scene, wrong: &Wrong) -> Result<()> {
    let before = everything(scene).await?;
    let banyan = command_line(scene, wrong.name, |plan| (wrong.plan)(plan))?;
    let began = std::time::Instant::now();
    let finished = match wrong.trial {
        Trial::Check => banyan.run("check", &[]).await?,
        Trial::Serve => match banyan.serve(scene.logs()).await {
            Ok(_) => bail!("`banyan serve` started"),
            Err(_) => banyan.run("serve", &[]).await?,
        },
        Trial::Start => {
            let serve = banyan.serve(scene.logs()).await?;
            let finished = banyan.run("start", &["contracts"]).await?;
            serve.stop().await;
            finished
        }
    };
    let text = finished.flat();
    println!(
        "--- {} ({:?})\n{}",
        wrong.name,
        began.elapsed(),
        text.trim()
    );
    ensure!(
        finished.code == REFUSED,
        "exit code {}, said:\n{text}",
        finished.code
    );
    for part in &wrong.says {
        ensure!(
            text.to_lowercase().contains(&part.to_lowercase()),
            "no `{part}` in:\n{text}"
        );
    }
    ensure!(!text.contains("panicked"), "it panicked:\n{text}");
    for url in [scene.monolith_database()?, scene.contracts_database()?] {
        let password = url.split([':', '@']).nth(2).context("no password")?;
        ensure!(!text.contains(password), "the password is shown:\n{text}");
    }
    ensure!(
        began.elapsed() < TIME_LIMIT,
        "it took {:?}",
        began.elapsed()
    );
    let after = everything(scene).await?;
    before.0.ensure_unchanged(&after.0, "monolith")?;
    before.1.ensure_unchanged(&after.1, "service")?;
    ensure!(before.2 == after.2, "rows changed: {:?}", after.2);
    Ok(())
}

async fn everything(scene: &Scene) -> Result<(Catalogue, Catalogue, Vec<String>)> {
    let (monolith, service) = scene.superusers().await?;
    let mut rows = row_counts(&monolith, "public").await?;
    rows.extend(row_counts(&service, "contract_service").await?);
    Ok((
        Catalogue::read(&monolith).await?,
        Catalogue::read(&service).await?,
        rows,
    ))
}

fn cluster<'a>(scene: &'a mut Scene, database: &str) -> Result<&'a mut Cluster> {
    match database {
        MONOLITH_DATABASE => Ok(&mut scene.monolith_cluster),
        CONTRACTS_DATABASE => Ok(&mut scene.contracts_cluster),
        other => bail!("no cluster for {other}"),
    }
}

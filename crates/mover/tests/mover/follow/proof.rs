//! What is not seen in the change stream is asked for by a fresh verify.

use crate::follow::scene::{Scene, state};
use anyhow::{Context, Result, ensure};
use mover::verify::VerifyProgress;
use protocol::{
    Epoch, Side,
    stream::{Direction, MessageKind, StreamState},
};
use tokio::sync::watch;

async fn unproven(scene: &Scene) -> Result<Vec<String>> {
    let found = scene.mover.unproven().await?;
    Ok(found.iter().map(ToString::to_string).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn rewrites_and_other_columns() -> Result<()> {
    let scene = Scene::new(
        "insert into contracts (title, note) select 't', 'n' from generate_series(1, 9)",
    )
    .await?;
    let forward = scene.follow(Direction::Forward);
    scene.caught_up(&forward, Side::Monolith).await?;
    let monolith = scene.user(Side::Monolith).await?;
    let service = scene.user(Side::Service).await?;
    let progress = watch::Sender::new(VerifyProgress::default());
    let verify = async || {
        let applied = forward.applied();
        let report = scene
            .mover
            .verify(Side::Monolith, applied, &progress)
            .await?;
        anyhow::Ok(report.differences_total)
    };
    ensure!(verify().await? == 0);
    ensure!(
        unproven(&scene).await?.is_empty(),
        "{:?}",
        unproven(&scene).await?
    );

    // Harmless, but who knows.
    for (client, change, words) in [
        (&service, "vacuum full svc.agreements", "rewritten"),
        (&monolith, "vacuum full contracts", "rewritten"),
    ] {
        client.batch_execute(change).await?;
        let told = unproven(&scene).await?.join("; ");
        ensure!(
            told.contains(words) && told.contains("`banyan verify big-contracts`"),
            "{change}: {told}"
        );
        ensure!(verify().await? == 0);
        ensure!(unproven(&scene).await?.is_empty(), "after {change}");
    }

    service
        .batch_execute("alter table svc.agreements alter note type text using upper(note)")
        .await?;
    ensure!(unproven(&scene).await?.join("; ").contains("rewritten"));
    ensure!(verify().await? == 9);
    ensure!(
        !unproven(&scene).await?.is_empty(),
        "a proof that failed is none"
    );
    Ok(())
}

/// Added on both sides it flows, and is compared before the next hand-over. On
/// one side only, it is in the way of one: there would be no way back.
#[tokio::test(flavor = "multi_thread")]
async fn new_columns() -> Result<()> {
    let scene = Scene::new("insert into contracts (title) values ('t')").await?;
    let forward = scene.follow(Direction::Forward);
    scene.caught_up(&forward, Side::Monolith).await?;
    let monolith = scene.user(Side::Monolith).await?;
    let service = scene.user(Side::Service).await?;
    let blockers = async || {
        let found = scene.mover.blockers(Side::Monolith).await?;
        anyhow::Ok(
            found
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("; "),
        )
    };
    ensure!(blockers().await?.is_empty(), "{}", blockers().await?);
    service
        .batch_execute("alter table svc.agreements add column surprise integer")
        .await?;
    let told = blockers().await?;
    let statement = r#"alter table "public"."contracts" add column "surprise" integer"#;
    ensure!(told.contains(statement), "{told}");
    monolith.batch_execute(statement).await?;
    ensure!(blockers().await?.is_empty(), "{}", blockers().await?);
    ensure!(unproven(&scene).await?.join("; ").contains("surprise"));
    Ok(())
}

/// The stream that will be the way back knows what it was, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_column_of_the_services_own_stays_its_own() -> Result<()> {
    let scene = Scene::new("insert into contracts (title) values ('t')").await?;
    let service = scene.user(Side::Service).await?;
    service
        .batch_execute("alter table svc.agreements add column own integer default 3")
        .await?;
    // The first look at the tables: it was there before anything flowed.
    let reverse = scene.follow(Direction::Reverse);
    scene
        .decide(Side::Service, "service", MessageKind::Open, 1)
        .await?;
    state(&reverse, StreamState::Applying(Epoch(1))).await?;
    service
        .batch_execute("update svc.agreements set name = 'changed', own = 4")
        .await?;
    scene
        .caught_up(&reverse, Side::Service)
        .await
        .context("an own column")?;
    Ok(())
}

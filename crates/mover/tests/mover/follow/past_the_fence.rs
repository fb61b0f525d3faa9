//! Rows that somebody writes past a fence: remembered until a verify is clean.

use crate::follow::scene::{Scene, state};
use anyhow::{Result, ensure};
use protocol::{
    Epoch, Side,
    stream::{Direction, MessageKind, StreamState},
};
use testbed::deadline;

async fn remembered(scene: &Scene, wanted: i64) -> Result<()> {
    let what = format!("{wanted} rows to be remembered");
    deadline::until(&what, super::scene::LIMIT, async || {
        let rows = scene.mover.seen().await?.discarded;
        let rows: i64 = rows.iter().map(|one| one.rows).sum();
        Ok((rows == wanted).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_remembered_over_a_restart_until_they_are_cleared() -> Result<()> {
    let scene = Scene::new("").await?;
    let forward = scene.follow(Direction::Forward);
    let monolith = scene.user(Side::Monolith).await?;
    scene
        .decide(Side::Monolith, "nobody", MessageKind::Mark, 1)
        .await?;
    state(&forward, StreamState::Stopped(Epoch(1))).await?;
    ensure!(scene.mover.seen().await?.discarded.is_empty());
    // Nobody fences here.
    monolith
        .batch_execute("insert into contracts (title) values ('past'), ('past')")
        .await?;
    remembered(&scene, 2).await?;
    // Killed, and begun anew: each is counted once.
    drop(forward);
    let forward = scene.follow(Direction::Forward);
    state(&forward, StreamState::Stopped(Epoch(1))).await?;
    let noticed = scene.mover.seen().await?.discarded;
    ensure!(noticed[0].rows == 2 && noticed[0].side == Side::Monolith);
    let blockers = {
        let seen = scene.mover.seen().await?;
        seen.strangers_rows(&scene.mover.extraction().name)
    };
    ensure!(
        blockers[0]
            .to_string()
            .contains("banyan verify big-contracts"),
        "{blockers:?}"
    );
    // What comes after they were noticed is not cleared with them.
    monolith
        .batch_execute("delete from contracts where title = 'past'")
        .await?;
    remembered(&scene, 4).await?;
    scene.mover.clear_discarded(&scene.claims, &noticed).await?;
    remembered(&scene, 2).await?;
    let noticed = scene.mover.seen().await?.discarded;
    scene.mover.clear_discarded(&scene.claims, &noticed).await?;
    remembered(&scene, 0).await?;
    // A conductor that is not in charge any more clears nothing.
    monolith
        .batch_execute("insert into contracts (title) values ('past')")
        .await?;
    remembered(&scene, 1).await?;
    let noticed = scene.mover.seen().await?.discarded;
    scene
        .mover
        .prepare(scene.instance, crate::plans::conductor())
        .await?;
    let cleared = scene.mover.clear_discarded(&scene.claims, &noticed).await;
    ensure!(cleared.is_err());
    remembered(&scene, 1).await?;
    // All of it goes with the extraction.
    monolith
        .batch_execute("update banyan.owner set owner = 'monolith'")
        .await?;
    scene.mover.cancel(None).await?;
    ensure!(scene.mover.seen().await? == mover::readiness::seen::Observations::default());
    Ok(())
}

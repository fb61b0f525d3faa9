//! What a follower does not go on with, and how it says so.

use crate::follow::scene::{Scene, failed, idle_slot, status};
use anyhow::{Result, ensure};
use mover::follow::FollowPhase;
use protocol::{Side, stream::Direction};

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_ahead_of_the_row() -> Result<()> {
    let scene = Scene::new("").await?;
    let user = scene.user(Side::Monolith).await?;
    let forward = scene.follow(Direction::Forward);
    scene.caught_up(&forward, Side::Monolith).await?;
    forward.stop().await;
    idle_slot(&user, "banyan_big_contracts_forward").await?;
    user.batch_execute("insert into contracts (title) values ('lost')")
        .await?;
    user.batch_execute(
        "select pg_replication_slot_advance('banyan_big_contracts_forward', pg_current_wal_lsn())",
    )
    .await?;
    let error = failed(&scene.follow(Direction::Forward)).await?;
    ensure!(
        error.contains("ahead of") && error.contains("`banyan recopy big-contracts`"),
        "{error}"
    );

    user.batch_execute("select pg_drop_replication_slot('banyan_big_contracts_forward')")
        .await?;
    let error = failed(&scene.follow(Direction::Forward)).await?;
    ensure!(error.contains("there is no slot"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_or_no_stream() -> Result<()> {
    let scene = Scene::new("").await?;
    let target = scene.user(Side::Service).await?;
    target
        .batch_execute("update banyan.stream set timeline = 7")
        .await?;
    let error = failed(&scene.follow(Direction::Forward)).await?;
    ensure!(error.contains("timeline 7 before"), "{error}");
    target
        .batch_execute("update banyan.stream set timeline = 1, state = 'copying'")
        .await?;
    let error = failed(&scene.follow(Direction::Forward)).await?;
    ensure!(error.contains("not copied yet"), "{error}");
    target.batch_execute("delete from banyan.stream").await?;
    let error = failed(&scene.follow(Direction::Forward)).await?;
    ensure!(error.contains("prepare and copy first"), "{error}");
    Ok(())
}

/// The row was moved on by somebody behind the follower's back: nothing is
/// applied by a belief; the next attempt goes on from where the row is.
#[tokio::test(flavor = "multi_thread")]
async fn a_moved_row() -> Result<()> {
    let scene = Scene::new("").await?;
    let forward = scene.follow(Direction::Forward);
    let user = scene.user(Side::Monolith).await?;
    user.batch_execute("insert into contracts (title) values ('one')")
        .await?;
    scene.caught_up(&forward, Side::Monolith).await?;
    scene
        .user(Side::Service)
        .await?
        .batch_execute("update banyan.stream set position = position + 8")
        .await?;
    user.batch_execute("insert into contracts (title) values ('two')")
        .await?;
    let wrong = |phase: &FollowPhase| match phase {
        FollowPhase::Retrying { error } => error.contains("somebody else applies"),
        _ => false,
    };
    status(&forward, "an attempt that failed", |now| {
        now.attempts > 0 || wrong(&now.phase)
    })
    .await?;
    scene.caught_up(&forward, Side::Monolith).await?;
    ensure!(scene.same().await? == 2);
    Ok(())
}

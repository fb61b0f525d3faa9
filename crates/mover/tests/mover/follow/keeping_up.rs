//! Whether a hand-over takes a stream as it is, waits for it, or refuses.

use crate::follow::scene::{LIMIT, Scene, status};
use anyhow::{Result, ensure};
use mover::{
    follow::FollowPhase,
    readiness::keeping_up::{LagLimits, stream_blocker},
};
use protocol::{Side, stream::Direction};
use std::time::Duration;
use testbed::deadline;

/// Much is written that is none of ours: the stream is always behind, and well.
/// Then a row of ours waits for a lock, and it is not, until that is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_server_does_not_make_a_stream_unfit() -> Result<()> {
    let scene = Scene::new("insert into contracts (title) values ('a')").await?;
    let forward = scene.follow(Direction::Forward);
    status(&forward, "streaming", |now| {
        now.phase == FollowPhase::Streaming
    })
    .await?;
    scene.caught_up(&forward, Side::Monolith).await?;
    let busy = scene.user(Side::Monolith).await?;
    let writer = tokio::spawn(async move {
        let write = "select pg_logical_emit_message(false, 'other', repeat('x', 100000))";
        while busy.batch_execute(write).await.is_ok() {}
    });
    let source = scene.sampler(Side::Monolith);
    let found = async |catch_up: Duration, patience: Duration| {
        // No number of bytes suffices while somebody writes without a pause.
        status(&forward, "behind", |now| now.lag_bytes > 0).await?;
        let limits = LagLimits { bytes: 0, catch_up };
        let status = forward.status();
        anyhow::Ok(stream_blocker(Direction::Forward, status, &source, limits, patience).await)
    };
    // A pause of the connection passes; that it is behind would not.
    let fit = found(LIMIT, LIMIT).await?;
    ensure!(fit.is_none(), "{fit:?}");

    let service = scene.user(Side::Service).await?;
    service
        .batch_execute("begin; lock table svc.agreements in exclusive mode")
        .await?;
    let user = scene.user(Side::Monolith).await?;
    user.batch_execute("insert into contracts (title) values ('waits')")
        .await?;
    deadline::until("the follower to wait", LIMIT, async || {
        let waiting = "select exists (select from pg_locks where not granted)";
        let row = service.query_one(waiting, &[]).await?;
        Ok(row.get::<_, bool>(0).then_some(()))
    })
    .await?;
    let stands = found(Duration::from_millis(100), Duration::ZERO).await?;
    ensure!(stands.is_some(), "a stream that stands is taken for well");
    service.batch_execute("rollback").await?;
    let waited_for = found(LIMIT, LIMIT).await?;
    ensure!(waited_for.is_none(), "{waited_for:?}");
    writer.abort();
    Ok(())
}

//! Stream states, loops, foreign keys across the boundary, and followers that
//! another conductor has superseded.

use crate::{
    follow::scene::{Scene, failed, state, status},
    plans::conductor,
    repairs::past_the_fence,
};
use anyhow::{Result, ensure};
use mover::follow::FollowPhase;
use protocol::{
    Epoch, Side,
    stream::{Direction, MessageKind, StreamState},
};
use std::time::Instant;
use uuid::Uuid;

/// There and back and there again, both directions followed all the time.
#[tokio::test(flavor = "multi_thread")]
async fn there_and_back_and_there() -> Result<()> {
    let scene =
        Scene::new("insert into contracts (title) select 'seed' from generate_series(1, 10)")
            .await?;
    let forward = scene.follow(Direction::Forward);
    let reverse = scene.follow(Direction::Reverse);
    let monolith = scene.user(Side::Monolith).await?;
    let service = scene.user(Side::Service).await?;
    state(&forward, StreamState::Applying(Epoch(0))).await?;
    state(&reverse, StreamState::Waiting).await?;
    ensure!(
        service
            .batch_execute("update svc.agreements set name = 'refused'")
            .await
            .is_err()
    );

    for epoch in [1, 3] {
        monolith.batch_execute("update contracts set title = title || 'm'; insert into contracts (title) values ('m')").await?;
        scene
            .decide(Side::Monolith, "nobody", MessageKind::Mark, epoch)
            .await?;
        let fenced = Instant::now();
        // The mark is a position: all before it is there when it is.
        state(&forward, StreamState::Stopped(Epoch(epoch))).await?;
        println!(
            "from the fence's commit to caught up: {:?}",
            fenced.elapsed()
        );
        scene.same().await?;
        service
            .batch_execute(&format!(
                "select setval('svc.agreements_id_seq', {epoch}000)"
            ))
            .await?;
        scene
            .decide(Side::Service, "service", MessageKind::Open, epoch)
            .await?;
        state(&reverse, StreamState::Applying(Epoch(epoch))).await?;
        service
            .batch_execute("update svc.agreements set name = name || 's'; insert into svc.agreements (name, note) values ('s', repeat('x', 9000)); \
                insert into svc.lines (agreement, position, text) select id, 7, 'l' from svc.agreements on conflict do nothing")
            .await?;
        scene.caught_up(&reverse, Side::Service).await?;
        scene.same().await?;

        scene
            .decide(Side::Service, "nobody", MessageKind::Mark, epoch + 1)
            .await?;
        state(&reverse, StreamState::Stopped(Epoch(epoch + 1))).await?;
        scene
            .decide(Side::Monolith, "monolith", MessageKind::Open, epoch + 1)
            .await?;
        state(&forward, StreamState::Applying(Epoch(epoch + 1))).await?;
        monolith
            .batch_execute("update contracts set title = title || 'back'")
            .await?;
        scene.caught_up(&forward, Side::Monolith).await?;
        scene.same().await?;
    }
    scene.caught_up(&reverse, Side::Service).await?;
    for follower in [&forward, &reverse] {
        let now = follower.status().borrow().clone();
        ensure!(
            now.discarded_rows == 0 && now.phase == FollowPhase::Streaming,
            "{now:?}"
        );
    }
    Ok(())
}

/// An aborted switch: the mark, then the opening of the same side.
#[tokio::test(flavor = "multi_thread")]
async fn stopped_and_opened_again() -> Result<()> {
    let scene = Scene::new("").await?;
    let forward = scene.follow(Direction::Forward);
    let monolith = scene.user(Side::Monolith).await?;
    monolith
        .batch_execute("insert into contracts (title) values ('before')")
        .await?;
    scene
        .decide(Side::Monolith, "nobody", MessageKind::Mark, 1)
        .await?;
    state(&forward, StreamState::Stopped(Epoch(1))).await?;
    scene.same().await?;
    // Nobody fences here: such a row is counted, and not applied.
    monolith
        .batch_execute("insert into contracts (title) values ('behind the fence')")
        .await?;
    status(&forward, "counted", |status| status.discarded_rows == 1).await?;
    let target = scene.user(Side::Service).await?;
    let count: i64 = target
        .query_one("select count(*) from svc.agreements", &[])
        .await?
        .get(0);
    ensure!(count == 1);
    // It stays stopped over a restart.
    forward.stop().await;
    let forward = scene.follow(Direction::Forward);
    state(&forward, StreamState::Stopped(Epoch(1))).await?;
    monolith
        .batch_execute("delete from contracts where title = 'behind the fence'")
        .await?;
    scene
        .decide(Side::Monolith, "monolith", MessageKind::Open, 1)
        .await?;
    state(&forward, StreamState::Applying(Epoch(1))).await?;
    monolith
        .batch_execute("insert into contracts (title) values ('after')")
        .await?;
    scene.caught_up(&forward, Side::Monolith).await?;
    ensure!(scene.same().await? == 2);
    Ok(())
}

/// Messages of others change nothing; ours that cannot be read stop it.
#[tokio::test(flavor = "multi_thread")]
async fn messages_of_others() -> Result<()> {
    let scene = Scene::new("").await?;
    let forward = scene.follow(Direction::Forward);
    let monolith = scene.user(Side::Monolith).await?;
    let other = Uuid::new_v4();
    for statement in [
        "select pg_logical_emit_message(true, 'banyan', 'rubbish')".to_owned(),
        "select pg_logical_emit_message(true, 'banyan', '\\xff00'::bytea)".to_owned(),
        format!(
            "select pg_logical_emit_message(true, 'banyan', '{{\"instance\":\"{other}\",\"epoch\":1,\"nonce\":\"{other}\",\"kind\":\"mark\"}}')"
        ),
        // Not transactional: it would survive a rollback.
        format!(
            "select pg_logical_emit_message(false, 'banyan', '{{\"instance\":\"{}\",\"epoch\":1,\"nonce\":\"{other}\",\"kind\":\"mark\"}}')",
            scene.instance
        ),
        "insert into contracts (title) values ('x')".to_owned(),
    ] {
        monolith.batch_execute(&statement).await?;
    }
    scene.caught_up(&forward, Side::Monolith).await?;
    ensure!(scene.same().await? == 1);
    ensure!(forward.status().borrow().state == Some(StreamState::Applying(Epoch(0))));
    let statement = format!(
        "select pg_logical_emit_message(true, 'banyan', '{{\"instance\":\"{}\",\"kind\":\"halt\"}}')",
        scene.instance
    );
    monolith.batch_execute(&statement).await?;
    let error = failed(&forward).await?;
    ensure!(error.contains("cannot be read"), "{error}");
    Ok(())
}

/// The service may change its tables as long as nothing comes from them.
#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_stream_does_not_care_for_columns() -> Result<()> {
    let scene = Scene::new("insert into contracts (title) values ('seed')").await?;
    let forward = scene.follow(Direction::Forward);
    let reverse = scene.follow(Direction::Reverse);
    let (monolith, service) = (
        scene.user(Side::Monolith).await?,
        scene.user(Side::Service).await?,
    );
    scene.caught_up(&forward, Side::Monolith).await?;
    scene.caught_up(&reverse, Side::Service).await?;
    service
        .batch_execute("alter table svc.agreements add column own text default 'own'")
        .await?;
    // A key that may not be set keeps the columns that are only there.
    let kept = "update svc.agreements set own = 'kept'";
    past_the_fence(&service, "big-contracts", kept).await?;
    monolith
        .batch_execute(
            "update contracts set id = 77 where id = 1; update contracts set title = 'new'",
        )
        .await?;
    scene.caught_up(&forward, Side::Monolith).await?;
    scene.caught_up(&reverse, Side::Service).await?;
    let row = service
        .query_one("select own, name, id from svc.agreements", &[])
        .await?;
    ensure!((row.get::<_, &str>(1), row.get::<_, i64>(2)) == ("new", 77));
    // The forward follower read the columns before there was this one.
    ensure!(row.get::<_, &str>(0) == "own");
    drop(forward);
    let forward = scene.follow(Direction::Forward);
    past_the_fence(&service, "big-contracts", kept).await?;
    monolith
        .batch_execute("update contracts set id = 78 where id = 77")
        .await?;
    scene.caught_up(&forward, Side::Monolith).await?;
    let row = service
        .query_one("select own, id from svc.agreements", &[])
        .await?;
    ensure!((row.get::<_, &str>(0), row.get::<_, i64>(1)) == ("kept", 78));
    ensure!(reverse.status().borrow().phase == FollowPhase::Streaming);
    Ok(())
}

/// The service deletes what a row that stayed refers to.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_orphaned_across_the_boundary() -> Result<()> {
    let scene = Scene::new(
        "insert into contracts (title) select 'seed' from generate_series(1, 10); \
         insert into documents (contract_id, name) select 4, 'd'",
    )
    .await?;
    let forward = scene.follow(Direction::Forward);
    let reverse = scene.follow(Direction::Reverse);
    scene
        .decide(Side::Monolith, "nobody", MessageKind::Mark, 1)
        .await?;
    state(&forward, StreamState::Stopped(Epoch(1))).await?;
    scene
        .decide(Side::Service, "service", MessageKind::Open, 1)
        .await?;
    let service = scene.user(Side::Service).await?;
    // Those may go, and this one comes back in the same transaction.
    service
        .batch_execute("delete from svc.agreements where id > 8; begin; delete from svc.agreements where id = 4; \
            insert into svc.agreements (id, name) overriding system value values (4, 'back'); commit")
        .await?;
    scene.caught_up(&reverse, Side::Service).await?;
    ensure!(scene.same().await? == 8);
    service.batch_execute("begin; update svc.agreements set name = 'not applied' where id = 1; delete from svc.agreements where id = 4; commit").await?;
    let error = failed(&reverse).await?;
    ensure!(error.contains("public.documents.contract_id"), "{error}");
    let monolith = scene.user(Side::Monolith).await?;
    let row = monolith
        .query_one("select (select count(*) from contracts where id = 4), (select count(*) from contracts where title = 'not applied')", &[])
        .await?;
    ensure!(
        (row.get::<_, i64>(0), row.get::<_, i64>(1)) == (1, 0),
        "the transaction was applied in part"
    );
    // The remedy, and it goes on.
    monolith.batch_execute("delete from documents").await?;
    let reverse = scene.follow(Direction::Reverse);
    scene.caught_up(&reverse, Side::Service).await?;
    ensure!(scene.same().await? == 7);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_is_refused() -> Result<()> {
    let scene = Scene::new("").await?;
    let zombie = scene.follow(Direction::Forward);
    let user = scene.user(Side::Monolith).await?;
    user.batch_execute("insert into contracts (title) values ('one')")
        .await?;
    scene.caught_up(&zombie, Side::Monolith).await?;
    let claims = scene.mover.prepare(scene.instance, conductor()).await?;
    user.batch_execute("insert into contracts (title) values ('two')")
        .await?;
    let error = failed(&zombie).await?;
    ensure!(error.contains("another conductor"), "{error}");
    let successor = mover::follow::Follower::start(&scene.mover, Direction::Forward, &claims);
    scene.caught_up(&successor, Side::Monolith).await?;
    ensure!(scene.same().await? == 2);
    // A zombie that starts again changes nothing either.
    let again = scene.follow(Direction::Forward);
    successor.stop().await;
    let error = failed(&again).await?;
    ensure!(error.contains("another conductor"), "{error}");
    Ok(())
}

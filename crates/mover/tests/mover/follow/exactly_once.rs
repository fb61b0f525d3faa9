//! Each change once, whatever is killed and whenever.

use crate::follow::scene::{LIMIT, Scene, status};
use anyhow::{Result, ensure};
use mover::follow::FollowPhase;
use protocol::{Side, stream::Direction};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use testbed::deadline;
use tokio::task::JoinSet;

/// Writers such as pgbench's: updates of hot and cold rows, inserts, deletes,
/// key changes, over two tables.
async fn writers(scene: &Scene, stop: &Arc<AtomicBool>) -> Result<JoinSet<Result<u64>>> {
    let mut all = JoinSet::new();
    for writer in 0_i64..3 {
        let client = scene.user(Side::Monolith).await?;
        let stop = Arc::clone(stop);
        all.spawn(async move {
            let mut done = 0;
            let mut n: i64 = 0;
            while !stop.load(Ordering::Relaxed) {
                n += 1;
                let id = 1_000_000 * (writer + 1) + n;
                let statement = match n % 5 {
                    0 => format!("delete from contracts where id = {} and id % 2 = 1 and not exists (select from lines where contract_id = {})", id - 4, id - 4),
                    1 => format!("update contracts set id = -id, title = 'rekeyed' where id = {}", id - 2),
                    _ => "update contracts set score = coalesce(score, 0) + 1, note = repeat('n', 3000) where id = 3".to_owned(),
                };
                client
                    .batch_execute(&format!(
                        "begin; update contracts set amount = coalesce(amount, 0) + 1 where id = {}; \
                         insert into contracts (id, title, note) values ({id}, 'w{writer}', repeat('x', {})); \
                         insert into lines select {id}, 1, 'l' where {n} % 5 = 3; \
                         {statement}; commit",
                        1 + n % 10,
                        if n % 7 == 0 { 5000 } else { 10 },
                    ))
                    .await?;
                done += 1;
            }
            Ok(done)
        });
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn over_aborts_at_any_moment() -> Result<()> {
    let scene =
        Scene::new("insert into contracts (title) select 'seed' from generate_series(1, 10)")
            .await?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = writers(&scene, &stop).await?;
    let mut random = 88_172_645_463_325_252_u64;
    let mut committed = 0;
    for round in 0..50 {
        let forward = scene.follow(Direction::Forward);
        let reverse = scene.follow(Direction::Reverse);
        // xorshift
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // Most while it commits one transaction after the other, some while
        // it connects.
        if round % 6 != 0 {
            status(&forward, "applying", |status| status.rows > 0).await?;
        }
        tokio::time::sleep(Duration::from_micros(random % 20_000)).await;
        committed += u32::from(forward.status().borrow().rows > 0);
        if round % 5 == 4 {
            forward.stop().await;
        } else {
            drop(forward);
        }
        drop(reverse);
    }
    stop.store(true, Ordering::Relaxed);
    let mut transactions = 0;
    while let Some(done) = writers.join_next().await {
        transactions += done??;
    }
    let forward = scene.follow(Direction::Forward);
    scene.caught_up(&forward, Side::Monolith).await?;
    let rows = scene.same().await?;
    println!("{transactions} transactions, {rows} rows, {committed} of 50 killed at work");
    ensure!(transactions > 500 && rows > 400 && committed > 35);
    Ok(())
}

/// Commits that take long, so that nearly every kill hits one whose reply is
/// on its way: the successor must find it done, rows and position alike.
#[tokio::test(flavor = "multi_thread")]
async fn over_lost_replies_of_commits() -> Result<()> {
    let scene = Scene::new("insert into contracts (title) values ('seed')").await?;
    let target = scene.user(Side::Service).await?;
    target
        .batch_execute(
            "create function public.slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.05); return null; end $$; \
             create constraint trigger slow after insert on svc.lines deferrable initially deferred \
                for each row execute function public.slow(); \
             alter table svc.lines enable always trigger slow",
        )
        .await?;
    let user = scene.user(Side::Monolith).await?;
    for round in 0..25 {
        let forward = scene.follow(Direction::Forward);
        status(&forward, "streaming", |status| {
            status.phase == FollowPhase::Streaming
        })
        .await?;
        user.batch_execute(&format!(
            "begin; insert into contracts (id, title) values ({round} + 100, 'x'); insert into lines values ({round} + 100, 1, 'l'); commit"
        ))
        .await?;
        // Another moment of the commit each time.
        tokio::time::sleep(Duration::from_millis(10 + round % 5 * 10)).await;
        drop(forward);
    }
    let forward = scene.follow(Direction::Forward);
    scene.caught_up(&forward, Side::Monolith).await?;
    let replayed = forward.status().borrow().transactions;
    println!("the last follower read {replayed} transactions");
    ensure!(scene.same().await? == 26);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn over_crashes_of_both_servers() -> Result<()> {
    let mut scene =
        Scene::new("insert into contracts (title) select 'seed' from generate_series(1, 10)")
            .await?;
    let forward = scene.follow(Direction::Forward);
    for round in 0..4 {
        let stop = Arc::new(AtomicBool::new(false));
        let mut writers = writers(&scene, &stop).await?;
        let target = scene.user(Side::Service).await?;
        deadline::until("what they write to be applied", LIMIT, async || {
            let rows = "select count(*) from svc.agreements";
            let rows: i64 = target.query_one(rows, &[]).await?.get(0);
            Ok((rows > 50).then_some(()))
        })
        .await?;
        if round % 2 == 0 {
            scene.service.kill().await;
            status(&forward, "retrying", |status| {
                matches!(status.phase, FollowPhase::Retrying { .. })
            })
            .await?;
            scene.service.start().await?;
        } else {
            scene.monolith.kill().await;
            scene.monolith.start().await?;
        }
        stop.store(true, Ordering::Relaxed);
        // Those that the crash hit have failed, as they should.
        while writers.join_next().await.is_some() {}
        let user = scene.user(Side::Monolith).await?;
        user.batch_execute(
            "delete from lines where contract_id >= 1000000; \
            delete from contracts where id >= 1000000 or id < 0",
        )
        .await?;
        scene.caught_up(&forward, Side::Monolith).await?;
        ensure!(scene.same().await? == 10);
    }
    Ok(())
}

/// The slot is never told of more than is stored; and what is stored without
/// rows reaches it in time.
#[tokio::test(flavor = "multi_thread")]
async fn the_slot_follows_the_row() -> Result<()> {
    let scene = Scene::new("").await?;
    let forward = scene.follow(Direction::Forward);
    let user = scene.user(Side::Monolith).await?;
    let target = scene.user(Side::Service).await?;
    let begun: String = target
        .query_one("select position::text from banyan.stream", &[])
        .await?
        .get(0);
    for _ in 0..50 {
        user.batch_execute("insert into unrelated (x) values (1)")
            .await?;
        user.batch_execute("insert into contracts (title) values ('x')")
            .await?;
        // The row is read after the slot, and only ever grows.
        let slot: String = user
            .query_one("select confirmed_flush_lsn::text from pg_replication_slots where slot_name like '%forward'", &[])
            .await?
            .get(0);
        let ahead: bool = target
            .query_one(
                "select $1::text::pg_lsn > position from banyan.stream",
                &[&slot],
            )
            .await?
            .get(0);
        ensure!(!ahead, "the slot is ahead of the row");
    }
    scene.caught_up(&forward, Side::Monolith).await?;
    let settled: String = target
        .query_one("select position::text from banyan.stream", &[])
        .await?
        .get(0);
    ensure!(settled != begun);
    user.batch_execute("insert into unrelated (x) select n from generate_series(1, 1000) n")
        .await?;
    deadline::until("progress without rows to be stored", LIMIT, async || {
        let slot: bool = user
            .query_one(
                "select confirmed_flush_lsn > $1::text::pg_lsn from pg_replication_slots where slot_name like '%forward'",
                &[&settled],
            )
            .await?
            .get(0);
        Ok(slot.then_some(()))
    })
    .await
}

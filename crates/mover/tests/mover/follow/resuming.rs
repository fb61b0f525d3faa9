//! A stream comes back once what stopped it has gone, and loses nothing by it.

use crate::{
    extraction::databases::{own_clusters, pair_in},
    follow::scene::{LIMIT, Scene, caught_up, failed, status},
    queries::lines,
};
use anyhow::{Result, ensure};
use mover::follow::{FollowPhase, Follower};
use protocol::{Side, stream::Direction};
use testbed::{deadline, silent_network::SilentNetwork};

/// Fails every insert of `bad` at the service with a code, until it is told
/// otherwise.
fn trap(code: &str) -> String {
    format!(
        "create function public.trap() returns trigger language plpgsql as $$ begin \
             if new.name = 'bad' then raise 'not now' using errcode = '{code}'; end if; \
             return new; end $$; \
         create trigger trap before insert on svc.agreements \
             for each row execute function public.trap(); \
         alter table svc.agreements enable always trigger trap"
    )
}

const RELEASE: &str = "drop function public.trap() cascade";

#[tokio::test(flavor = "multi_thread")]
async fn good_transactions_before_a_bad_one_stay() -> Result<()> {
    let scene = Scene::new("").await?;
    let (user, target) = (
        scene.user(Side::Monolith).await?,
        scene.user(Side::Service).await?,
    );
    target.batch_execute(&trap("P0001")).await?;
    for title in ["one", "two", "bad", "three", "four"] {
        let insert = format!("insert into contracts (title) values ('{title}')");
        user.batch_execute(&insert).await?;
    }
    let forward = scene.follow(Direction::Forward);
    let error = failed(&forward).await?;
    ensure!(
        error.contains("not now") && error.contains("banyan resume big-contracts"),
        "{error}"
    );
    let names = lines(&target, "select name from svc.agreements order by id").await?;
    ensure!(names == ["(one)", "(two)"], "{names:?}");

    // Nobody asks for it: it comes back by itself.
    target.batch_execute(RELEASE).await?;
    scene.caught_up(&forward, Side::Monolith).await?;
    ensure!(forward.status().borrow().phase == FollowPhase::Streaming);
    ensure!(scene.same().await? == 5);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_stream_is_failed_until_it_is_past_the_cause() -> Result<()> {
    let scene = Scene::new("").await?;
    let (user, target) = (
        scene.user(Side::Monolith).await?,
        scene.user(Side::Service).await?,
    );
    target.batch_execute(&trap("P0001")).await?;
    user.batch_execute("insert into contracts (title) values ('bad')")
        .await?;
    let forward = scene.follow(Direction::Forward);
    failed(&forward).await?;
    let before = forward.status().borrow().attempts;
    forward.resume();
    let mut seen = forward.status();
    let again = seen.wait_for(|now| {
        assert_ne!(now.phase, FollowPhase::Streaming, "nothing has changed");
        now.attempts > before + 1
    });
    again.await?;
    let now = status(&forward, "a growing lag", |now| now.lag_seconds > 1.0).await?;
    ensure!(now.lag_bytes > 0, "{now:?}");
    ensure!(now.retained_bytes >= Some(now.lag_bytes), "{now:?}");
    target.batch_execute(RELEASE).await?;
    forward.resume();
    scene.caught_up(&forward, Side::Monolith).await?;
    let now = status(&forward, "no lag", |now| now.lag_seconds == 0.0).await?;
    ensure!(now.phase == FollowPhase::Streaming, "{now:?}");
    ensure!(scene.same().await? == 1);
    Ok(())
}

/// What a target says that is being failed over, and one whose disk is full.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_takes_no_writes_is_waited_for() -> Result<()> {
    let scene = Scene::new("").await?;
    let (user, target) = (
        scene.user(Side::Monolith).await?,
        scene.user(Side::Service).await?,
    );
    let forward = scene.follow(Direction::Forward);
    for (code, rows) in [("25006", 1), ("53100", 2)] {
        target.batch_execute(&trap(code)).await?;
        user.batch_execute("insert into contracts (title) values ('bad')")
            .await?;
        let before = forward.status().borrow().attempts;
        let now = status(&forward, code, |now| now.attempts > before + 3).await?;
        ensure!(
            matches!(
                now.phase,
                FollowPhase::Retrying { .. } | FollowPhase::Streaming
            ),
            "{code}: {now:?}"
        );
        target.batch_execute(RELEASE).await?;
        scene.caught_up(&forward, Side::Monolith).await?;
        ensure!(scene.same().await? == rows);
    }
    Ok(())
}

/// A source that crashes while an attempt waits for it: the attempt goes on with the
/// server that has started, and what is followed from it is behind the end that its
/// log had then. The next attempt does not take it for a restored one.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_starts_during_an_attempt_is_followed_on() -> Result<()> {
    let clusters = own_clusters().await?;
    let network = SilentNetwork::before(clusters.monolith.port()).await?;
    let table = "create table t (id bigint primary key)";
    let address = |url: String| network.through(&url).or(Ok(url));
    let tables = ["public.t: {}"];
    let moved = format!("create schema svc; {}", table.replace("t (", "svc.t ("));
    let pair = pair_in(&clusters, "started", table, &moved, &tables, address).await?;
    let claims = pair.prepare_and_copy().await?;
    let forward = Follower::start(&pair.mover, Direction::Forward, &claims);
    caught_up(&pair.mover, Side::Monolith, &forward, LIMIT).await?;

    network.vanish();
    network.cut();
    let (before, kept_back) = (forward.status().borrow().attempts, network.kept_back());
    status(&forward, "tried again", |now| now.attempts > before).await?;
    deadline::poll("the next attempt", LIMIT, || {
        Ok((network.kept_back() > kept_back).then_some(()))
    })
    .await?;
    clusters.monolith.crash().await?;
    clusters.monolith.start().await?;
    network.come_back();
    for row in [1, 2] {
        let application = clusters.monolith.superuser(&pair.database).await?;
        application
            .batch_execute(&format!("insert into t values ({row})"))
            .await?;
        caught_up(&pair.mover, Side::Monolith, &forward, LIMIT).await?;
        let rows = "select count(*) from svc.t";
        ensure!(pair.lines(Side::Service, rows).await? == [format!("({row})")]);
        network.cut();
    }
    Ok(())
}

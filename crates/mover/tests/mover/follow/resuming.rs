//! A stream comes back once what stopped it has gone, and loses nothing by it.

use crate::{
    follow::scene::{Scene, failed, status},
    queries::lines,
};
use anyhow::{Result, ensure};
use mover::follow::FollowPhase;
use protocol::{Side, stream::Direction};

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

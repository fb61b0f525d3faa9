//! Rights that are taken from our role: the message names what gives them back.

use crate::follow::scene::{Scene, status};
use anyhow::{Context, Result, ensure};
use mover::follow::FollowPhase;
use protocol::{Side, stream::Direction};

/// Each message names all that is known to be missing on its side.
const MOST: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn the_statements_in_the_message_mend_it() -> Result<()> {
    let scene = Scene::new("").await?;
    for side in Side::BOTH {
        let superuser = scene.user(side).await?;
        superuser
            .batch_execute("alter role banyan nosuperuser noreplication; create role app")
            .await?;
        let table = match side {
            Side::Monolith => "public.contracts",
            Side::Service => "svc.agreements",
        };
        superuser
            .batch_execute(&format!("alter table {table} owner to app"))
            .await?;
    }
    let monolith = scene.user(Side::Monolith).await?;
    monolith
        .batch_execute("insert into contracts (title) values ('new')")
        .await?;
    let sampler = scene.sampler(Side::Monolith);
    let position = sampler.sample().await.context("no position")?;
    let forward = scene.follow(Direction::Forward);
    let mut given = String::new();
    for _ in 0..MOST {
        let now = status(&forward, "an end", |now| {
            now.applied >= position || matches!(now.phase, FollowPhase::Failed { .. })
        })
        .await?;
        let FollowPhase::Failed { error } = now.phase else {
            break;
        };
        let (before, rest) = error.split_once('`').context(error.clone())?;
        let (statements, _) = rest.split_once('`').context(error.clone())?;
        let at_monolith = before.ends_with("run in the monolith's database ");
        ensure!(
            at_monolith || before.ends_with("run in the service's database "),
            "{error}"
        );
        let side = Side::BOTH[usize::from(!at_monolith)];
        let superuser = scene.user(side).await?;
        let ran = superuser.batch_execute(statements).await;
        ran.with_context(|| error.clone())?;
        given.push_str(statements);
        forward.resume();
        status(&forward, "tried again", |then| {
            then.attempts > now.attempts || then.phase == FollowPhase::Streaming
        })
        .await?;
    }
    scene.caught_up(&forward, Side::Monolith).await?;
    ensure!(scene.same().await? == 1);
    for words in [
        "alter role banyan replication",
        "grant app to banyan",
        // A superuser's rights are given to nobody.
        "alter table svc.lines owner to banyan",
        "grant set on parameter session_replication_role to banyan",
        "grant execute on function pg_catalog.pg_replication_origin_session_setup",
    ] {
        ensure!(given.contains(words), "{words}: {given}");
    }
    Ok(())
}

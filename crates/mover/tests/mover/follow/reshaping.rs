//! Tables that are changed while they are followed: what passes by itself, what
//! stops the stream, and that the statement in the message mends it.

use crate::follow::scene::{Scene, failed, state, status};
use anyhow::{Context, Result, ensure};
use mover::follow::{FollowPhase, Follower};
use protocol::{
    Epoch, Side,
    stream::{Direction, MessageKind, StreamState},
};
use tokio_postgres::Client;

const INSERT: &str = "insert into contracts (title) values ('after')";

/// The first statement of a message.
fn statement(error: &str) -> Result<&str> {
    error.split('`').nth(1).context("no statement")
}

async fn mended(scene: &Scene, follower: &Follower, source: Side) -> Result<()> {
    follower.resume();
    scene.caught_up(follower, source).await?;
    scene.same().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_statement_in_the_message_mends_it() -> Result<()> {
    let scene = Scene::new(
        "alter table contracts alter u set default gen_random_uuid(), alter u set not null; \
         insert into contracts (title, span, score) values ('before', '1 day', 1.5)",
    )
    .await?;
    let forward = scene.follow(Direction::Forward);
    let user = scene.user(Side::Monolith).await?;
    let target = scene.user(Side::Service).await?;
    for (change, words) in [
        ("add column plain text", "has this column"),
        (
            "add column filled integer default 7 not null",
            "default 7 not null",
        ),
        ("drop column span", "has this column no more"),
        ("rename column note to remark", "calls note so now"),
        ("alter price type numeric(12,2)", "numeric(12,2)"),
        (
            "drop column score, add column score double precision",
            "made again",
        ),
    ] {
        user.batch_execute(&format!("alter table contracts {change}; {INSERT}"))
            .await?;
        let error = failed(&forward).await?;
        ensure!(error.contains(words), "{change}: {error}");
        user.batch_execute(INSERT).await?;
        let mends = statement(&error)?;
        target
            .batch_execute(mends)
            .await
            .with_context(|| error.clone())?;
        mended(&scene, &forward, Side::Monolith)
            .await
            .context(change)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_undone_goes_on() -> Result<()> {
    let scene = Scene::new(
        "alter table contracts alter u set default gen_random_uuid(), alter u set not null",
    )
    .await?;
    let forward = scene.follow(Direction::Forward);
    let user = scene.user(Side::Monolith).await?;
    for (change, undo, words) in [
        (
            "alter table contracts add column surprise integer",
            "alter table contracts drop column surprise",
            "surprise",
        ),
        (
            "alter table contracts rename column note to remark",
            "alter table contracts rename column remark to note",
            "calls note so now",
        ),
        (
            "alter table contracts replica identity using index contracts_u_key",
            "alter table contracts replica identity default",
            "replica identity default",
        ),
        (
            "alter table contracts rename to deals",
            "alter table deals rename to contracts",
            "no such table",
        ),
    ] {
        let insert = "insert into deals (title) values ('between')";
        let insert = if change.ends_with("deals") {
            insert
        } else {
            INSERT
        };
        user.batch_execute(&format!("{change}; {insert}")).await?;
        let error = failed(&forward).await?;
        ensure!(error.contains(words), "{change}: {error}");
        user.batch_execute(&format!("{undo}; {INSERT}")).await?;
        mended(&scene, &forward, Side::Monolith)
            .await
            .context(change)?;
    }
    Ok(())
}

/// Nobody has to do anything.
#[tokio::test(flavor = "multi_thread")]
async fn harmless_changes_pass() -> Result<()> {
    let scene = Scene::new("insert into contracts (title) values ('before')").await?;
    let forward = scene.follow(Direction::Forward);
    let user = scene.user(Side::Monolith).await?;
    let target = scene.user(Side::Service).await?;
    let mut failures = forward.status();
    let watched = async move {
        let failed =
            |now: &mover::follow::FollowStatus| matches!(now.phase, FollowPhase::Failed { .. });
        failures.wait_for(failed).await.map(|now| now.clone())
    };
    let changes = async {
        for (theirs, ours) in [
            (
                "alter table svc.agreements add column extra integer not null default 7",
                "alter table contracts add column extra integer not null default 7",
            ),
            (
                "create index on svc.agreements (name)",
                "create index on contracts (title)",
            ),
            (
                "comment on table svc.agreements is 'x'",
                "comment on table contracts is 'y'",
            ),
            ("select 1", "vacuum full contracts"),
            ("vacuum full svc.agreements", "analyze contracts"),
        ] {
            target.batch_execute(theirs).await?;
            user.batch_execute(ours).await?;
            user.batch_execute("insert into contracts (title) values ('after')")
                .await?;
            user.batch_execute("update contracts set note = 'changed' where id = 1")
                .await?;
            scene
                .caught_up(&forward, Side::Monolith)
                .await
                .context(ours)?;
            scene.same().await?;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        failed = watched => anyhow::bail!("it failed: {failed:?}"),
        done = changes => done,
    }
}

/// The log is older than what the tables are made of now.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_older_shapes() -> Result<()> {
    let scene = Scene::new("insert into contracts (title) values ('before')").await?;
    let user = scene.user(Side::Monolith).await?;
    let target = scene.user(Side::Service).await?;
    let forward = scene.follow(Direction::Forward);
    status(&forward, "streaming", |now| {
        now.phase == FollowPhase::Streaming
    })
    .await?;
    forward.stop().await;
    for change in [
        "insert into contracts (title, raw) values ('old', 'r')",
        "alter table contracts add column x text default 'x'",
        "insert into contracts (title, x) values ('new', 'y')",
        "update contracts set note = 'changed'",
        "alter table contracts drop column span",
        "insert into contracts (title) values ('less')",
        "alter table contracts add column y integer",
        "insert into contracts (title, y) values ('first', 5)",
        "alter table contracts drop column y",
        "insert into contracts (title) values ('none')",
        "alter table contracts add column y text default 'q'",
        "insert into contracts (title, y) values ('second', 'z')",
        "alter table contracts rename column raw to bytes",
        "insert into contracts (title, bytes) values ('named', 'b')",
    ] {
        user.batch_execute(change).await?;
    }
    target
        .batch_execute(
            "alter table svc.agreements add column x text default 'x', drop column span, \
                 add column gone integer; \
             alter table svc.agreements drop column gone, add column y text default 'q'; \
             alter table svc.agreements rename column raw to bytes",
        )
        .await?;
    let forward = scene.follow(Direction::Forward);
    scene.caught_up(&forward, Side::Monolith).await?;
    ensure!(scene.same().await? == 8);
    Ok(())
}

/// After a switch: what the service's team adds comes back to the monolith.
#[tokio::test(flavor = "multi_thread")]
async fn the_way_back_asks_for_a_column_of_the_services() -> Result<()> {
    let scene = Scene::new("insert into contracts (title) values ('before')").await?;
    let reverse = scene.follow(Direction::Reverse);
    scene
        .decide(Side::Service, "service", MessageKind::Open, 1)
        .await?;
    state(&reverse, StreamState::Applying(Epoch(1))).await?;
    let (monolith, service): (Client, Client) = (
        scene.user(Side::Monolith).await?,
        scene.user(Side::Service).await?,
    );
    let insert = "insert into svc.agreements (id, name) overriding system value \
         values ((select max(id) + 1 from svc.agreements), 'after')";
    for change in ["add column surprise integer default 3", "drop column note"] {
        let change = format!("alter table svc.agreements {change}; {insert}");
        service.batch_execute(&change).await?;
        let error = failed(&reverse).await?;
        ensure!(!error.contains("cancel"), "{error}");
        monolith
            .batch_execute(statement(&error)?)
            .await
            .with_context(|| error.clone())?;
        mended(&scene, &reverse, Side::Service).await?;
    }
    Ok(())
}

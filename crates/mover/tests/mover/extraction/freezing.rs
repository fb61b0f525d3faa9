//! A freeze refuses what changes the shape of tables that move, and nothing else.

use crate::extraction::databases::pair_alone;
use anyhow::{Context, Result, ensure};
use mover::objects::freeze;
use protocol::Side;
use std::time::Duration;
use testbed::deadline;

const MONOLITH: &str = "
    create type colour as enum ('red');
    create table t (id integer primary key, c colour, n integer);
    create table stays (id integer primary key);
    insert into t values (1, 'red', 1)";

const SERVICE: &str = "create schema svc; create type colour as enum ('red'); \
    create table svc.t (id integer primary key, c colour, n integer)";

const LONG: Duration = Duration::from_hours(1);

const LIMIT: Duration = Duration::from_mins(1);

/// Each changes what rows look like, or where they go.
const REFUSED: &[&str] = &[
    "alter table t add column x integer",
    "alter table t drop column n",
    "alter table t alter n type bigint",
    "alter table t rename to u",
    "alter table t rename n to m",
    "alter table t enable row level security",
    "alter table t replica identity full",
    "alter table t add constraint c check (n > 0)",
    "create trigger x before insert on t for each row execute function suppress_redundant_updates_trigger()",
    "drop trigger mine on t",
    "create rule r as on insert to t do also nothing",
    "create policy p on t",
    "drop table t",
    "alter type colour add value 'blue'",
    "drop publication banyan_frozen; create publication banyan_frozen for table stays",
    "drop table t; create table t (id integer primary key)",
    "alter schema public rename to elsewhere",
];

const PASSES: &[&str] = &[
    "create index on t (n)",
    "comment on table t is 'x'",
    "grant select on t to public",
    "alter table stays add column x integer",
    "create table another (id integer)",
    "drop table another",
    "insert into t values (2, 'red', 2)",
    "truncate stays",
    // In a schema that Banyan's role may not use.
    "drop view hidden.v",
    "drop table hidden.k",
    "analyze t",
];

#[tokio::test]
async fn what_changes_the_shape_of_a_frozen_table_is_refused() -> Result<()> {
    // The role that the function belongs to is the whole cluster's.
    let tables = &["public.t: { }"];
    let (_clusters, pair) = pair_alone("frozen", MONOLITH, SERVICE, tables).await?;
    let refused = pair.mover.freeze(LONG).await.unwrap_err().to_string();
    ensure!(refused.contains("banyan start frozen"), "{refused}");
    pair.prepare_and_copy().await?;

    for ready in [None, Some(Side::Monolith), Some(Side::Service)] {
        if let Some(side) = ready {
            // May be repeated.
            for _ in 0..2 {
                let superuser = pair.superuser(side).await?;
                superuser.batch_execute(&freeze::script()).await?;
            }
        }
        if ready != Some(Side::Service) {
            let wanted = pair.mover.freeze(LONG).await.unwrap_err().to_string();
            ensure!(wanted.contains("banyan freeze frozen --sql"), "{wanted}");
        }
    }
    let app = pair.superuser(Side::Monolith).await?;
    app.batch_execute(
        "create schema hidden; create view hidden.v as select 1 as x; \
         create table hidden.k (id integer primary key); revoke all on schema hidden from public; \
         create trigger mine before update on t for each row \
         execute function suppress_redundant_updates_trigger()",
    )
    .await?;

    let until = pair.mover.freeze(LONG).await?;
    ensure!(until.ends_with('Z'), "{until}");
    let seen = pair.mover.seen().await?.frozen;
    let sides: Vec<Side> = seen.iter().map(|(side, _)| *side).collect();
    ensure!(sides == Side::BOTH && seen[1].1 == until, "{seen:?}");
    for statement in REFUSED {
        let error = app.batch_execute(statement).await.err();
        let error = error.with_context(|| format!("{statement} was let through"))?;
        let error = error.as_db_error().context("not the database's")?;
        ensure!(
            error
                .message()
                .contains("extraction \"frozen\" keeps the shape")
                && error
                    .hint()
                    .unwrap_or_default()
                    .contains("banyan freeze frozen --off"),
            "{statement}: {error:?}"
        );
    }
    for statement in PASSES {
        app.batch_execute(statement).await.context(*statement)?;
    }
    let service = pair.superuser(Side::Service).await?;
    let there = service
        .batch_execute("alter table svc.t drop column n")
        .await;
    ensure!(there.is_err());

    // Whatever has become of ours, nobody's change fails for it.
    for (from, to) in [("frozen", "gone"), ("gone", "frozen")] {
        let rename = format!("alter table banyan.{from} rename to {to}");
        app.batch_execute(&rename).await?;
        let changed = app
            .batch_execute("alter table t alter n drop default")
            .await;
        ensure!(changed.is_ok() == (to == "gone"), "{to}: {changed:?}");
    }

    // A change that is under way is waited for.
    pair.mover.unfreeze().await?;
    ensure!(pair.mover.seen().await?.frozen.is_empty());
    app.batch_execute("begin; alter table t add column late integer")
        .await?;
    let mover = pair.mover.clone();
    let freezing = tokio::spawn(async move { mover.freeze(LONG).await });
    let waiting = "select pid from pg_locks where not granted";
    deadline::until("it to wait", LIMIT, async || {
        Ok((!pair.lines(Side::Monolith, waiting).await?.is_empty()).then_some(()))
    })
    .await?;
    ensure!(!freezing.is_finished());
    app.batch_execute("commit").await?;
    freezing.await??;
    ensure!(
        app.batch_execute("alter table t drop column late")
            .await
            .is_err()
    );

    // It ends by itself, by command, and with the extraction.
    pair.mover.freeze(Duration::from_millis(1)).await?;
    app.batch_execute("alter table t drop column late").await?;
    pair.mover.freeze(LONG).await?;
    ensure!(pair.mover.unfreeze().await?);
    ensure!(!pair.mover.unfreeze().await?);
    app.batch_execute("drop trigger mine on t").await?;
    pair.mover.freeze(LONG).await?;
    pair.mover.cancel(None).await?;
    app.batch_execute("alter table t drop column n").await?;
    let left = pair
        .lines(Side::Monolith, "select evtname from pg_event_trigger")
        .await?;
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}

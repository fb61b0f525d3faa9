//! Servers of other versions. With the installed one these say little; `./x versions`
//! gives the sides others.

use crate::extraction::databases::{Pair, clusters, pair, show};
use anyhow::{Result, ensure};
use mover::MoverError;
use protocol::{Side, finding::Severity};
use tokio::sync::watch;

/// The first whose change stream carries messages.
const OLDEST: u32 = 14;

/// The first that refuses updates of a published table whose replica identity
/// has a column that it computes and does not publish.
const REFUSES_UNPUBLISHED: u32 = 18;

/// The first that has infinite intervals.
const INFINITE_INTERVALS: u32 = 17;

const MONOLITH: &str = "
    create table a (id bigint primary key, v text, span interval,
        twice text generated always as (v || v) stored);
    insert into a (id, v) values (1, 'x');
";

const SERVICE: &str = "
    create schema svc;
    create table svc.a (id bigint primary key, v text, span interval,
        twice text generated always as (v || v) stored);
";

async fn major(side: Side) -> Result<u32> {
    Ok(clusters().await?.of(side).major())
}

async fn refusals(pair: &Pair) -> Result<Vec<String>> {
    let found = pair.mover.check().await?;
    let refused = found.iter().filter(|one| one.severity == Severity::Refuse);
    Ok(refused.map(|one| show(std::slice::from_ref(one))).collect())
}

/// By its number, once for each side that is too old, and nothing else is said
/// of such a side.
#[tokio::test]
async fn versions_that_are_too_old_are_refused_by_name() -> Result<()> {
    let pair = pair("versions", MONOLITH, SERVICE, &["public.a: {}"]).await?;
    let refused = refusals(&pair).await?;
    let mut old = 0;
    for side in Side::BOTH {
        let cluster = clusters().await?.of(side);
        if cluster.major() < OLDEST {
            old += 1;
            let object = format!("the {side}'s database server");
            let problem = format!("it is PostgreSQL {}", cluster.version());
            let hit = |line: &&String| line.contains(&object) && line.contains(&problem);
            ensure!(refused.iter().filter(hit).count() == 1, "{refused:#?}");
        }
    }
    ensure!(refused.len() == old, "{refused:#?}");
    Ok(())
}

/// Where the application's own updates would fail from then on.
#[tokio::test]
async fn a_table_that_could_not_be_updated_once_it_is_published() -> Result<()> {
    let pair = pair("versions_identity", MONOLITH, SERVICE, &["public.a: {}"]).await?;
    let full = |schema| format!("alter table {schema}.a replica identity full");
    for (side, schema) in [(Side::Monolith, "public"), (Side::Service, "svc")] {
        if major(side).await? < OLDEST {
            return Ok(());
        }
        pair.app(side).batch_execute(&full(schema)).await?;
        let refused = refusals(&pair).await?;
        let expected = usize::from(major(side).await? >= REFUSES_UNPUBLISHED);
        ensure!(refused.len() == expected, "{refused:#?}");
        for line in &refused {
            ensure!(
                line.contains("replica identity default") && line.contains("twice"),
                "{line}"
            );
        }
        let usual = full(schema).replace("full", "default");
        pair.app(side).batch_execute(&usual).await?;
    }
    ensure!(refusals(&pair).await?.is_empty());
    // Where it is not refused, it is so.
    if major(Side::Monolith).await? < REFUSES_UNPUBLISHED {
        pair.monolith.batch_execute(&full("public")).await?;
    }
    pair.prepare_and_copy().await?;
    pair.monolith
        .batch_execute("update a set v = 'updated'; delete from a")
        .await?;
    Ok(())
}

/// It is an error at the older one, and not another value.
#[tokio::test]
async fn a_value_that_only_the_newer_one_has() -> Result<()> {
    let pair = pair("versions_values", MONOLITH, SERVICE, &["public.a: {}"]).await?;
    let (from, to) = (major(Side::Monolith).await?, major(Side::Service).await?);
    if from.min(to) < OLDEST {
        return Ok(());
    }
    let longest = if from >= INFINITE_INTERVALS {
        "infinity"
    } else {
        "178000000 years"
    };
    let insert = format!("insert into a (id, span) values (2, '{longest}')");
    pair.monolith.batch_execute(&insert).await?;
    let claims = pair.prepare().await?;
    let copied = pair.mover.copy(&claims, &watch::Sender::default()).await;
    if from >= INFINITE_INTERVALS && to < INFINITE_INTERVALS {
        ensure!(matches!(copied, Err(MoverError::Sql { .. })), "{copied:?}");
    } else {
        copied?;
        let there = pair.lines(Side::Service, "select span from svc.a where id = 2");
        let here = pair.lines(Side::Monolith, "select span from a where id = 2");
        ensure!(there.await? == here.await?);
    }
    Ok(())
}

//! Who is seen to write the tables that move, and what is kept of it.

use crate::extraction::databases::{APP, Pair, clusters, pair};
use anyhow::{Result, ensure};
use mover::readiness::{seen::Observations, writers::WriterObserver};
use std::time::Duration;
use testbed::deadline;
use tokio_postgres::Client;

const MONOLITH: &str = "create table a (id bigint primary key, v text); \
    create table audit (id bigint primary key); \
    create table points (id bigint primary key)";
const SERVICE: &str = "create schema svc; create table svc.a (id bigint primary key, v text)";
const TABLES: &[&str] = &["public.a: {}"];

const LIMIT: Duration = Duration::from_secs(30);

async fn writer(pair: &Pair, name: &str) -> Result<Client> {
    let client = clusters()
        .await?
        .monolith
        .client(APP, &pair.database)
        .await?;
    client
        .batch_execute(&format!("set application_name = '{name}'"))
        .await?;
    Ok(client)
}

async fn until(
    pair: &Pair,
    what: &str,
    is_it: impl Fn(&Observations) -> bool,
) -> Result<Observations> {
    deadline::until(what, LIMIT, async || {
        let seen = pair.mover.seen().await?;
        Ok(is_it(&seen).then_some(seen))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_are_kept_with_all_tables_until_they_are_forgotten() -> Result<()> {
    let pair = pair("writing", MONOLITH, SERVICE, TABLES).await?;
    pair.prepare_and_copy().await?;
    let observer = WriterObserver::start(&pair.mover);
    let nameless = writer(&pair, "").await?;
    nameless
        .batch_execute("begin; insert into a values (1); insert into audit values (1)")
        .await?;
    let psql = writer(&pair, "psql").await?;
    psql.batch_execute("begin; insert into a values (2)")
        .await?;
    until(&pair, "two writers", |seen| seen.writers.len() == 2).await?;
    // A table that is written later in the transaction is added.
    nameless
        .batch_execute("insert into points values (1)")
        .await?;
    let both = |seen: &Observations| seen.writers.iter().any(|one| one.together_with.len() == 2);
    until(&pair, "both tables that stay", both).await?;
    nameless.batch_execute("commit").await?;
    psql.batch_execute("rollback").await?;

    // Another process knows all of it, and for how long it was looked.
    drop(observer);
    let observer = WriterObserver::start(&pair.mover);
    let seen = until(&pair, "the time to be kept", |seen| {
        seen.looking.seconds > 0.0
    })
    .await?;
    ensure!(seen.looking.since.is_some());
    let name = &pair.mover.extraction().name;
    let found = seen.writers_in_the_way(name, &[]);
    let text: Vec<_> = found.iter().map(ToString::to_string).collect();
    let text = text.join("\n");
    for words in [
        "without an application_name (role app",
        "tables that stay (public.audit, public.points)",
        "the writer `psql`",
        "--forget 'psql'",
    ] {
        ensure!(text.contains(words), "{words}: {text}");
    }
    ensure!(pair.mover.forget_writer("psql").await? == 1);
    ensure!(pair.mover.forget_writer("").await? == 1);
    until(&pair, "nobody", |seen| seen.writers.is_empty()).await?;
    // It does not come back by what the observer remembers.
    let before = pair.mover.seen().await?.looking.seconds;
    let kept = |seen: &Observations| seen.looking.seconds > before;
    let seen = until(&pair, "another look to be kept", kept).await?;
    ensure!(seen.writers.is_empty(), "{seen:?}");
    // The observer reads what it has kept a moment later.
    testbed::deadline::poll("nobody, by the observer", Duration::from_mins(1), || {
        Ok(observer.seen().writers.is_empty().then_some(()))
    })
    .await
}

//! The end of an extraction, without a trace.

use crate::{
    extraction::databases::{Pair, pair},
    queries::lines,
};
use anyhow::{Context, Result, ensure};
use mover::{cancel::Cancelled, database::replication::ReplicationConnection};
use protocol::{ConductorId, Generation, InstanceId, Lsn, Side};
use tokio::sync::watch;
use uuid::Uuid;

const MONOLITH: &str = "
    create table a (id bigint primary key, t text);
    create table stays (id bigint primary key, a bigint references a);
    create function noop() returns trigger language plpgsql as 'begin return null; end';
    create trigger audit after insert on a execute function noop();
    insert into a select n, n from generate_series(1, 100) n;
";

const SERVICE: &str = "
    create schema svc;
    create table svc.b (id bigint primary key, t text);
";

const TABLES: &[&str] = &["public.a: { to: b }", "public.stays.a: restrict"];

/// All that the catalogue holds of what we could have left behind. Origins
/// and slots belong to the cluster, where other tests run: ours by name.
const TRACES: &[&str] = &[
    "select tgrelid::regclass, tgname, tgenabled from pg_trigger order by 1, 2",
    "select pubname from pg_publication order by 1",
    "select slot_name from pg_replication_slots where database = current_database()",
    "select roname from pg_replication_origin where roname like 'banyan\\_NAME\\_%'",
    "select nspname from pg_namespace where nspname !~ '^pg_(toast_)?temp' order by 1",
    "select oid::regprocedure from pg_proc where oid >= 16384 order by 1",
    "select oid::regclass, relkind, relreplident, relacl from pg_class where oid >= 16384 order by 1",
    "select typname from pg_type where oid >= 16384 order by 1",
    "select count(*) from pg_depend",
    "select nspacl from pg_namespace where nspname = 'public'",
];

async fn traces(pair: &Pair) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for side in Side::BOTH {
        let admin = pair.superuser(side).await?;
        for query in TRACES {
            let query = query.replace("NAME", &pair.database);
            let rows = lines(&admin, &query).await?;
            found.push(format!("{side}: {query}: {rows:?}"));
        }
    }
    let rows = lines(&pair.service, "select count(*) from svc.b").await?;
    found.push(format!("rows: {rows:?}"));
    Ok(found)
}

#[tokio::test]
async fn nothing_is_left_at_any_stage() -> Result<()> {
    let pair = pair("untraced", MONOLITH, SERVICE, TABLES).await?;
    let before = traces(&pair).await?;
    assert_eq!(pair.mover.cancel(None).await?, Cancelled::default());
    assert_eq!(traces(&pair).await?, before);

    pair.prepare().await?;
    let cancelled = pair.mover.cancel(None).await?;
    ensure!(cancelled.found && cancelled.emptied.is_empty());
    assert_eq!(traces(&pair).await?, before);

    pair.prepare_and_copy().await?;
    ensure!(traces(&pair).await? != before, "the test looks at nothing");
    let cancelled = pair.mover.cancel(None).await?;
    assert_eq!(
        cancelled
            .emptied
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["svc.b"]
    );
    assert_eq!(traces(&pair).await?, before);
    assert_eq!(pair.mover.cancel(None).await?, Cancelled::default());

    // And it can begin again.
    pair.prepare_and_copy().await?;
    assert_eq!(
        lines(&pair.service, "select count(*) from svc.b").await?,
        ["(100)"]
    );
    pair.mover.cancel(None).await?;
    assert_eq!(traces(&pair).await?, before);
    Ok(())
}

#[tokio::test]
async fn a_slot_that_is_read_from_is_dropped_and_its_reader_ended() -> Result<()> {
    let pair = pair("read_from", MONOLITH, SERVICE, TABLES).await?;
    let before = traces(&pair).await?;
    pair.prepare_and_copy().await?;
    let database = pair.mover.database(Side::Monolith);
    let layout = pair.mover.layout();
    let slot = layout.slot(protocol::stream::Direction::Forward);
    let reader = ReplicationConnection::open(Side::Monolith, database).await?;
    let _stream = reader
        .stream(&slot, &layout.publication(), Lsn::default(), Lsn::default())
        .await?;
    pair.mover.cancel(None).await?;
    assert_eq!(traces(&pair).await?, before);
    Ok(())
}

#[tokio::test]
async fn what_was_left_half_done_is_cancelled_too() -> Result<()> {
    let pair = pair("half_done", MONOLITH, SERVICE, TABLES).await?;
    let before = traces(&pair).await?;
    // Killed while preparing: the monolith's side is there, the service's not.
    pair.prepare().await?;
    let admin = pair.superuser(Side::Service).await?;
    admin
        .batch_execute(
            "select pg_drop_replication_slot('banyan_half_done_reverse'); \
             drop publication banyan_half_done; drop schema banyan cascade; \
             select pg_replication_origin_drop('banyan_half_done_service')",
        )
        .await?;
    ensure!(pair.mover.cancel(None).await?.found);
    assert_eq!(traces(&pair).await?, before);
    // Killed while cancelling: the service's side is gone but for its slot.
    pair.prepare().await?;
    admin
        .batch_execute(
            "drop publication banyan_half_done; drop schema banyan cascade; \
             select pg_replication_origin_drop('banyan_half_done_service')",
        )
        .await?;
    ensure!(pair.mover.cancel(None).await?.found);
    assert_eq!(traces(&pair).await?, before);
    Ok(())
}

/// A cancel that comes late, of a life that another conductor has ended and begun anew.
#[tokio::test]
async fn another_life_is_not_taken_away() -> Result<()> {
    let pair = pair("another_life", MONOLITH, SERVICE, TABLES).await?;
    pair.prepare_and_copy().await?;
    let (before, rows) = (traces(&pair).await?, claimed(&pair).await?);
    let other = Some(InstanceId(Uuid::from_u128(7)));
    for refused in [
        pair.mover.cancel(other).await.map(drop),
        pair.mover.cancel_and_empty(other).await.map(drop),
        pair.mover.finish(other).await,
    ] {
        let error = refused.unwrap_err().to_string();
        ensure!(error.contains("has begun it anew"), "{error}");
    }
    assert_eq!(traces(&pair).await?, before);
    assert_eq!(claimed(&pair).await?, rows, "its conductor was superseded");
    let row = pair.mover.read_row(Side::Service).await?;
    let own = row.map(|row| row.instance);
    ensure!(pair.mover.cancel(own).await?.found);
    Ok(())
}

/// Who has claimed which row last.
async fn claimed(pair: &Pair) -> Result<Vec<(ConductorId, Generation)>> {
    let mut claimed = Vec::new();
    for side in Side::BOTH {
        let row = pair.mover.read_row(side).await?.context("no row")?;
        claimed.push((row.conductor, row.generation));
    }
    Ok(claimed)
}

#[tokio::test]
async fn what_has_switched_is_refused() -> Result<()> {
    let pair = pair("switched", MONOLITH, SERVICE, TABLES).await?;
    pair.prepare_and_copy().await?;
    let copied = traces(&pair).await?;
    for (side, owner, words) in [
        (Side::Monolith, "service", "banyan rollback"),
        (Side::Monolith, "nobody", "under way"),
        (Side::Service, "service", "banyan rollback"),
    ] {
        let admin = pair.superuser(side).await?;
        admin
            .batch_execute(&format!("update banyan.owner set owner = '{owner}'"))
            .await?;
        let error = pair.mover.cancel(None).await.unwrap_err();
        ensure!(error.to_string().contains(words), "{error}");
        admin
            .batch_execute("update banyan.owner set owner = 'monolith'")
            .await?;
    }
    assert_eq!(traces(&pair).await?, copied);
    // After a rollback the service's rows stay: they were its own for a while.
    let admin = pair.superuser(Side::Service).await?;
    admin
        .batch_execute("update banyan.owner set epoch = 2")
        .await?;
    let cancelled = pair.mover.cancel(None).await?;
    ensure!(cancelled.found && cancelled.emptied.is_empty());
    assert_eq!(
        lines(&pair.service, "select count(*) from svc.b").await?,
        ["(100)"]
    );
    Ok(())
}

#[tokio::test]
async fn a_conductor_that_was_cancelled_changes_nothing_any_more() -> Result<()> {
    let pair = pair("superseded_copy", MONOLITH, SERVICE, TABLES).await?;
    let claims = pair.prepare_and_copy().await?;
    pair.mover.cancel(None).await?;
    let error = pair
        .mover
        .copy(&claims, &watch::Sender::default())
        .await
        .unwrap_err();
    ensure!(!error.is_transient(), "{error}");
    assert_eq!(
        lines(&pair.service, "select count(*) from svc.b").await?,
        ["(0)"]
    );
    Ok(())
}

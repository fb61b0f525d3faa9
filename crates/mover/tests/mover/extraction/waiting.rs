//! What others hold: how long it is waited for, who is named, what is left.

use super::databases::{APP, own_clusters, pair_alone, pair_in};
use crate::{plans::conductor, queries::lines};
use anyhow::{Result, ensure};
use mover::MoverError;
use protocol::{InstanceId, Side};
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

const MONOLITH: &str = "create table a (id serial primary key, v text)";
const SERVICE: &str = "create schema svc; create table svc.a (id serial primary key, v text)";
const TABLES: &[&str] = &["public.a: { to: a }"];

const LIMIT: Duration = Duration::from_mins(1);

/// A slot waits for every transaction of the cluster, of other databases too.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_names_whom_it_waits_for_and_leaves_nothing() -> Result<()> {
    let clusters = own_clusters().await?;
    let pair = async |name| pair_in(&clusters, name, MONOLITH, SERVICE, TABLES, Ok).await;
    let (copied, prepared) = (pair("slot_forward").await?, pair("slot_reverse").await?);
    let claims = copied.prepare().await?;
    let nightly = clusters.monolith.client(APP, "postgres").await?;
    nightly
        .batch_execute("set application_name = 'nightly'; begin; select pg_current_xact_id()")
        .await?;
    copied
        .service
        .batch_execute("begin; select pg_current_xact_id(); prepare transaction 'it''s'")
        .await?;

    let progress = watch::Sender::default();
    let (copy, prepare) = tokio::join!(
        copied.mover.copy(&claims, &progress),
        prepared
            .mover
            .prepare(InstanceId(Uuid::from_u128(1)), conductor()),
    );
    let forward = blocked(copy)?;
    ensure!(
        forward.contains("`nightly`") && forward.contains("select pg_terminate_backend("),
        "{forward}"
    );
    let reverse = blocked(prepare)?;
    ensure!(reverse.contains("rollback prepared 'it''s'"), "{reverse}");
    for (side, name) in [
        (Side::Monolith, "%slot_forward%"),
        (Side::Service, "%slot_reverse%"),
    ] {
        let left =
            format!("select slot_name from pg_replication_slots where slot_name like '{name}'");
        let left = lines(&copied.superuser(side).await?, &left).await?;
        // The copy's reverse slot was there before.
        ensure!(left.is_empty(), "{side}: {left:?}");
    }

    nightly.batch_execute("commit").await?;
    copied
        .service
        .batch_execute("rollback prepared 'it''s'")
        .await?;
    copied.mover.copy(&claims, &progress).await?;
    prepared.prepare().await.map(drop)
}

fn blocked<T>(result: Result<T, MoverError>) -> Result<String> {
    let error = result.err();
    ensure!(
        matches!(error, Some(MoverError::Blocked { .. })),
        "{error:?}"
    );
    Ok(error.map(|error| error.to_string()).unwrap_or_default())
}

/// Its locks bear the virtual transaction of the session that prepared it until
/// the server restarts.
#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_transaction_stands_in_the_way_at_once() -> Result<()> {
    let (_clusters, pair) = pair_alone("prepared_now", MONOLITH, SERVICE, TABLES).await?;
    pair.prepare_and_copy().await?;
    pair.monolith
        .batch_execute("begin; insert into a values (1); prepare transaction 'batch 7'")
        .await?;
    let found = pair.mover.blockers(Side::Monolith).await?;
    let said = found.iter().any(|one| one.to_string().contains("batch 7"));
    ensure!(said, "{found:?}");
    pair.monolith
        .batch_execute("rollback prepared 'batch 7'")
        .await?;
    ensure!(pair.mover.blockers(Side::Monolith).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn preparing_displaces_autovacuum() -> Result<()> {
    // A page of it takes the worker some 0.4 s.
    let slow = format!(
        "{MONOLITH}; alter table a set (autovacuum_vacuum_cost_delay = 100, \
         autovacuum_vacuum_cost_limit = 1, autovacuum_vacuum_threshold = 1, \
         autovacuum_vacuum_scale_factor = 0); \
         insert into a (v) select repeat('x', 1000) from generate_series(1, 3000); \
         update a set v = v || 'y'"
    );
    let (clusters, pair) = pair_alone("displacing", &slow, SERVICE, TABLES).await?;
    let superuser = pair.superuser(Side::Monolith).await?;
    superuser
        .batch_execute("alter system set autovacuum_naptime = '1s'")
        .await?;
    superuser.batch_execute("select pg_reload_conf()").await?;
    let workers = "select pid::text from pg_stat_activity where datname = 'displacing' \
                   and backend_type = 'autovacuum worker' and query like '%public.a%'";
    testbed::deadline::until("autovacuum", LIMIT, async || {
        Ok((!lines(&superuser, workers).await?.is_empty()).then_some(()))
    })
    .await?;
    pair.prepare().await?;
    let log = clusters.monolith.log();
    testbed::deadline::until("autovacuum to be told of it", LIMIT, async || {
        let log = std::fs::read_to_string(&log)?;
        Ok(log.contains("canceling autovacuum task").then_some(()))
    })
    .await
}

//! A check beside a migration that changes several tables.

use crate::extraction::databases::{APP, MOVER, clusters, pair, show};
use anyhow::{Result, ensure};
use protocol::Side;
use std::time::Duration;
use testbed::deadline;

const MONOLITH: &str =
    "create table a (id bigint primary key); create table b (id bigint primary key)";
const SERVICE: &str = "create schema svc; create table svc.a (id bigint primary key); \
    create table svc.b (id bigint primary key)";
const LIMIT: Duration = Duration::from_mins(1);

/// The migration has one table and takes the next, which the check has read: it
/// is the check that gives way.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_meets_no_deadlock_with_a_check() -> Result<()> {
    let tables = &["public.a: {}", "public.b: {}"];
    let pair = pair("check_migration", MONOLITH, SERVICE, tables).await?;
    let migration = clusters()
        .await?
        .monolith
        .client(APP, &pair.database)
        .await?;
    migration
        .batch_execute("begin; alter table b add column t text")
        .await?;
    let watcher = pair.superuser(Side::Monolith).await?;
    let migrating = async {
        deadline::until("the check to meet the lock", LIMIT, async || {
            let waits = "select exists (select from pg_locks l join pg_stat_activity a using (pid) \
                where a.usename = $1 and a.datname = $2 and not l.granted)";
            let row = watcher.query_one(waits, &[&MOVER, &pair.database]).await?;
            Ok(row.get::<_, bool>(0).then_some(()))
        })
        .await?;
        migration
            .batch_execute("alter table a add column t text; rollback")
            .await?;
        Ok(())
    };
    let (found, migrated): (_, Result<()>) = tokio::join!(pair.mover.check(), migrating);
    migrated?;
    let found = found?;
    ensure!(found.is_empty(), "{}", show(&found));
    Ok(())
}

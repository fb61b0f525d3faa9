//! Tables that are truncated or rewritten while they are copied: to the copy's
//! snapshot they look empty.

use crate::{
    extraction::databases::{Pair, pair},
    follow::scene::caught_up,
    queries::lines,
};
use anyhow::{Result, ensure};
use mover::{copy::CopyDone, follow::Follower};
use protocol::{Side, stream::Direction};
use std::time::Duration;
use testbed::deadline;
use tokio::sync::watch;

const LIMIT: Duration = Duration::from_mins(1);

/// Larger ones are copied first: one for each worker, which waits there.
const MONOLITH: &str = "
    create table large1 (id bigint primary key, t text);
    create table large2 (id bigint primary key, t text);
    create table last (id bigint primary key, t text);
    insert into large1 select n, repeat('x', 100) from generate_series(1, 2000) n;
    insert into large2 select n, repeat('x', 100) from generate_series(1, 2000) n;
    insert into last select n, 'a' from generate_series(1, 100) n;
";

const SERVICE: &str = "
    create schema svc;
    create table svc.large1 (id bigint primary key, t text);
    create table svc.large2 (id bigint primary key, t text);
    create table svc.last (id bigint primary key, t text);
    create function public.wait() returns trigger language plpgsql as $$
        begin perform pg_advisory_xact_lock_shared(42); return null; end $$;
    create trigger wait before insert on svc.large1 execute function public.wait();
    create trigger wait before insert on svc.large2 execute function public.wait();
    alter table svc.large1 enable always trigger wait;
    alter table svc.large2 enable always trigger wait;
";

const TABLES: &[&str] = &["public.large1: {}", "public.large2: {}", "public.last: {}"];

/// Runs statements when the snapshot was taken, and before the last table is
/// copied; says how many rows it has then on both sides.
async fn copied_while(name: &str, statements: &str) -> Result<(Pair, usize)> {
    let pair = pair(name, MONOLITH, SERVICE, TABLES).await?;
    let claims = pair.prepare().await?;
    pair.service
        .batch_execute("select pg_advisory_lock(42)")
        .await?;
    let watcher = pair.superuser(Side::Service).await?;
    let rewriting = async {
        deadline::until("both workers to wait", LIMIT, async || {
            let waiting = "select count(*) from pg_locks l join pg_database d on d.oid = l.database \
                where d.datname = current_database() and l.locktype = 'advisory' and l.objid = 42 \
                  and not l.granted";
            let row = watcher.query_one(waiting, &[]).await?;
            Ok((row.get::<_, i64>(0) == 2).then_some(()))
        })
        .await?;
        pair.monolith.batch_execute(statements).await?;
        pair.service
            .batch_execute("select pg_advisory_unlock(42)")
            .await?;
        Ok(())
    };
    let progress = watch::Sender::default();
    let (done, rewritten): (_, Result<()>) =
        tokio::join!(pair.mover.copy(&claims, &progress), rewriting);
    rewritten?;
    ensure!(matches!(done?, CopyDone::Copied { .. }));

    let follower = Follower::start(&pair.mover, Direction::Forward, &claims);
    caught_up(&pair.mover, Side::Monolith, &follower, LIMIT).await?;
    let (old, new) = (
        lines(&pair.monolith, "select * from last order by id").await?,
        lines(&pair.service, "select * from svc.last order by id").await?,
    );
    ensure!(old == new, "{old:?} {new:?}");
    Ok((pair, old.len()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_truncated_is_copied_again() -> Result<()> {
    // The update is in the stream, and meets no row where the copy has none.
    let statements = "update last set t = 'b'; truncate last; insert into last values (7, 'c')";
    let (_pair, rows) = copied_while("copy_truncated", statements).await?;
    ensure!(rows == 1);
    Ok(())
}

/// Nothing in the stream would ever bring these rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_rewritten_is_copied_again() -> Result<()> {
    let statements = "alter table last alter t type text using upper(t)";
    let (_pair, rows) = copied_while("copy_rewritten", statements).await?;
    ensure!(rows == 100);
    Ok(())
}

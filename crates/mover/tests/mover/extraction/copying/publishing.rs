//! What is left out of the publication is in neither the copy nor the stream.

use crate::extraction::databases::pair;
use anyhow::{Result, bail, ensure};
use mover::copy::CopyDone;
use protocol::Side;
use std::time::Duration;
use testbed::deadline;
use tokio::sync::watch;

const LIMIT: Duration = Duration::from_mins(1);

/// Somebody edits it after it was prepared, and again while the tables are copied.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_begins_with_all_that_is_published() -> Result<()> {
    let pair = pair(
        "published",
        "create table t (id integer primary key); insert into t values (1)",
        "create schema svc; create table svc.t (id integer primary key)",
        &["public.t: {}"],
    )
    .await?;
    let claims = pair.prepare().await?;
    let monolith = pair.superuser(Side::Monolith).await?;
    let inserts_only = "alter publication banyan_published set (publish = 'insert')";
    let all_published = async || -> Result<bool> {
        let query = "select pubinsert and pubupdate and pubdelete and pubtruncate \
            from pg_publication where pubname = 'banyan_published'";
        Ok(monolith.query_one(query, &[]).await?.get(0))
    };
    monolith.batch_execute(inserts_only).await?;
    // The copy waits for this before its first row.
    let service = pair.app(Side::Service);
    service
        .batch_execute("begin; lock table svc.t in exclusive mode")
        .await?;
    let mover = pair.mover.clone();
    let copying = tokio::spawn(async move { mover.copy(&claims, &watch::Sender::default()).await });
    let watching = pair.superuser(Side::Service).await?;
    deadline::until("the copy to wait", LIMIT, async || {
        let query = "select exists (select from pg_locks \
            where not granted and relation = 'svc.t'::regclass)";
        Ok(watching
            .query_one(query, &[])
            .await?
            .get::<_, bool>(0)
            .then_some(()))
    })
    .await?;
    ensure!(all_published().await?, "it is not made again");
    monolith.batch_execute(inserts_only).await?;
    service.batch_execute("rollback").await?;
    let Err(void) = copying.await? else {
        bail!("a copy is done although its publication was edited");
    };
    ensure!(void.to_string().contains("was edited while"), "{void}");
    let again = pair.mover.copy(&claims, &watch::Sender::default()).await?;
    ensure!(
        matches!(again, CopyDone::Copied { rows: 1, .. }),
        "{again:?}"
    );
    ensure!(all_published().await?);
    Ok(())
}

//! Cancel with rows of the service's on their way, and the life after it.

use super::Stage;
use anyhow::{Result, ensure};
use protocol::Side;

/// Another journal's cancel has taken the monolith's row away: nothing can be brought home.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_home_any_more_is_not_emptied() -> Result<()> {
    let mut stage = Stage::set("append_homeless").await?;
    stage.caught_up().await?;
    stage.followers.clear();
    let late = "insert into svc.log (c, what) values (3, 'late')";
    stage.write(Side::Service, late).await?;
    let admin = stage.pair.superuser(Side::Monolith).await?;
    admin.batch_execute("delete from banyan.owner").await?;
    let cancelled = stage.pair.mover.cancel(None).await?;
    let why = cancelled.left_because.unwrap_or_default();
    ensure!(
        cancelled.emptied.is_empty() && why.contains("may not have come"),
        "{why}"
    );
    let left = "select count(*) from svc.log where what = 'late'";
    ensure!(stage.pair.lines(Side::Service, left).await? == ["(1)"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_added_comes_home_before_a_cancel() -> Result<()> {
    let mut stage = Stage::set("append_cancelled").await?;
    stage.caught_up().await?;
    stage.followers.clear();
    stage
        .write(
            Side::Service,
            "insert into svc.log (c, what) values (3, 'late')",
        )
        .await?;
    let cancelled = stage.pair.mover.cancel(None).await?;
    ensure!(cancelled.left.is_empty(), "{cancelled:?}");
    let late = "select count(*) from audit where what = 'late'";
    ensure!(stage.pair.lines(Side::Monolith, late).await? == ["(1)"]);
    let left = "select count(*) from svc.log";
    ensure!(stage.pair.lines(Side::Service, left).await? == ["(0)"]);
    for side in Side::BOTH {
        let traces = "select count(*) from pg_trigger where tgname = 'banyan_fence'";
        let admin = stage.pair.superuser(side).await?;
        ensure!(admin.query_one(traces, &[]).await?.get::<_, i64>(0) == 0);
        let origins = "select count(*) from pg_replication_origin \
                       where roname like 'banyan\\_append\\_cancelled\\_%'";
        ensure!(admin.query_one(origins, &[]).await?.get::<_, i64>(0) == 0);
    }
    // The next life begins past the rows that the first has left at the monolith.
    stage.claims = stage.pair.prepare_and_copy().await?;
    stage.follow();
    stage
        .write(
            Side::Service,
            "insert into svc.log (c, what) values (3, 'again')",
        )
        .await?;
    let rows = stage.appended().await?;
    ensure!(rows.len() == 102, "{} rows", rows.len());
    ensure!(rows[101] == "(4500000000000001,3,again)", "{}", rows[101]);
    Ok(())
}

/// Rows that cannot come are left where they are, and said.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_come_is_not_emptied() -> Result<()> {
    let mut stage = Stage::set("append_stuck").await?;
    stage.caught_up().await?;
    stage.followers.clear();
    stage
        .write(
            Side::Service,
            "insert into svc.log (c, what) values (3, 'stuck')",
        )
        .await?;
    // Its key is taken at the monolith: the row never fits.
    let taken = "insert into audit (id, what) select 4500000000000000, 'taken'";
    stage.write(Side::Monolith, taken).await?;
    let cancelled = stage.pair.mover.cancel(None).await?;
    ensure!(cancelled.emptied.is_empty(), "{cancelled:?}");
    let why = cancelled.left_because.unwrap_or_default();
    ensure!(why.contains("svc.log, svc.trail"), "{why}");
    let left = "select count(*) from svc.log where what = 'stuck'";
    ensure!(stage.pair.lines(Side::Service, left).await? == ["(1)"]);
    Ok(())
}

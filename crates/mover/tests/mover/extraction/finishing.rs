//! The end of a switched extraction, and what a cancel leaves.

use crate::extraction::databases::{Pair, pair};
use anyhow::{Result, ensure};
use protocol::Side;

const MONOLITH: &str = "create table a (id bigint primary key, t text); \
    insert into a select n, n from generate_series(1, 10) n";
const SERVICE: &str = "create schema svc; create table svc.a (id bigint primary key, t text)";
const TABLES: &[&str] = &["public.a: {}"];

/// Both rows as a committed switch leaves them.
async fn switched(name: &str) -> Result<Pair> {
    let pair = pair(name, MONOLITH, SERVICE, TABLES).await?;
    pair.prepare_and_copy().await?;
    owned(&pair, "service", 1).await?;
    Ok(pair)
}

async fn owned(pair: &Pair, owner: &str, epoch: i64) -> Result<()> {
    for side in Side::BOTH {
        let update = format!("update banyan.owner set owner = '{owner}', epoch = {epoch}");
        pair.superuser(side).await?.batch_execute(&update).await?;
    }
    Ok(())
}

/// What is left of ours, on both sides.
async fn left(pair: &Pair) -> Result<Vec<String>> {
    let name = &pair.database;
    let mut left = Vec::new();
    for side in Side::BOTH {
        for query in [
            "select nspname from pg_namespace where nspname = 'banyan'".to_owned(),
            "select pubname from pg_publication".to_owned(),
            "select tgname from pg_trigger where tgname = 'banyan_fence'".to_owned(),
            "select slot_name from pg_replication_slots where database = current_database()"
                .to_owned(),
            format!(
                "select roname from pg_replication_origin where roname like 'banyan\\_{name}\\_%'"
            ),
        ] {
            let admin = pair.superuser(side).await?;
            left.extend(crate::queries::lines(&admin, &query).await?);
        }
    }
    Ok(left)
}

#[tokio::test]
async fn nothing_is_left_and_the_rows_stay() -> Result<()> {
    let pair = switched("finishing").await?;
    owned(&pair, "monolith", 2).await?;
    let error = pair.mover.finish(None).await.unwrap_err();
    ensure!(error.to_string().contains("has not switched"), "{error}");
    owned(&pair, "service", 3).await?;
    ensure!(!left(&pair).await?.is_empty(), "the test looks at nothing");
    pair.mover.finish(None).await?;
    ensure!(left(&pair).await?.is_empty());
    for (side, table) in [(Side::Monolith, "a"), (Side::Service, "svc.a")] {
        let query = format!("select count(*) from {table}");
        assert_eq!(pair.lines(side, &query).await?, ["(10)"]);
    }
    let write = "insert into svc.a values (11, 'own')";
    pair.app(Side::Service).batch_execute(write).await?;
    // Again, as after a lost reply.
    pair.mover.finish(None).await?;
    Ok(())
}

/// Killed after the service's side was cleared: the monolith's row still says
/// who owns.
#[tokio::test]
async fn what_was_left_half_done_is_finished() -> Result<()> {
    let pair = switched("half_finished").await?;
    let admin = pair.superuser(Side::Service).await?;
    admin
        .batch_execute(
            "drop publication banyan_half_finished; drop schema banyan cascade; \
             select pg_replication_origin_drop('banyan_half_finished_service')",
        )
        .await?;
    // Begun by an earlier version, and not claimed by this one.
    let monolith = pair.superuser(Side::Monolith).await?;
    monolith
        .batch_execute(
            "drop table banyan.declared, banyan.published; \
             comment on schema banyan is 'Made by an earlier version'",
        )
        .await?;
    pair.mover.finish(None).await?;
    ensure!(left(&pair).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_cancel_after_a_rollback_says_what_it_leaves_and_empties_if_asked() -> Result<()> {
    let pair = switched("left_behind").await?;
    owned(&pair, "monolith", 2).await?;
    let cancelled = pair.mover.cancel(None).await?;
    ensure!(cancelled.emptied.is_empty() && cancelled.left_because.is_none());
    ensure!(cancelled.left.len() == 1 && cancelled.left[0].to_string() == "svc.a");
    ensure!(left(&pair).await?.is_empty());

    pair.app(Side::Service)
        .batch_execute("truncate svc.a")
        .await?;
    pair.prepare_and_copy().await?;
    owned(&pair, "monolith", 2).await?;
    let cancelled = pair.mover.cancel_and_empty(None).await?;
    ensure!(
        cancelled.left.is_empty() && cancelled.emptied.len() == 1,
        "{cancelled:?}"
    );
    ensure!(left(&pair).await?.is_empty());
    Ok(())
}

/// Somebody else's rows, or no right: it says so, and ends.
#[tokio::test]
async fn what_cannot_be_emptied_is_said() -> Result<()> {
    let pair = switched("not_emptied").await?;
    owned(&pair, "monolith", 2).await?;
    let monolith = pair.superuser(Side::Monolith).await?;
    monolith
        .batch_execute("insert into banyan.discarded (extraction, rows) values ('not-emptied', 3)")
        .await?;
    let cancelled = pair.mover.cancel_and_empty(None).await?;
    let why = cancelled.left_because.unwrap_or_default();
    ensure!(
        why.contains("3 changes of rows") && cancelled.left.len() == 1,
        "{why}"
    );
    ensure!(left(&pair).await?.is_empty());

    let app = pair.app(Side::Service);
    app.batch_execute("truncate svc.a").await?;
    pair.prepare_and_copy().await?;
    // A foreign key of a table that is not of the extraction.
    app.batch_execute("create table svc.other (a bigint references svc.a)")
        .await?;
    let cancelled = pair.mover.cancel(None).await?;
    let why = cancelled.left_because.unwrap_or_default();
    ensure!(
        why.contains("foreign key") && cancelled.left.len() == 1,
        "{why}"
    );
    ensure!(left(&pair).await?.is_empty());

    // Its owner may not read it: whether it has rows is not known, and it ends.
    app.batch_execute("drop table svc.other; truncate svc.a")
        .await?;
    pair.prepare_and_copy().await?;
    owned(&pair, "monolith", 2).await?;
    app.batch_execute("revoke select on svc.a from app").await?;
    let cancelled = pair.mover.cancel(None).await?;
    ensure!(cancelled.left.len() == 1, "{cancelled:?}");
    ensure!(left(&pair).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_plan_with_other_tables_is_refused_once_it_has_begun() -> Result<()> {
    let both = format!("{MONOLITH}; create table b (id bigint primary key)");
    let service = format!("{SERVICE}; create table svc.b (id bigint primary key)");
    let pair = pair("begun", &both, &service, TABLES).await?;
    let urls = Side::BOTH.map(|side| pair.mover.database(side));
    let [monolith, service] = urls.map(|url| {
        format!(
            "postgres://{}:{}@{}:{}/{}",
            url.user,
            url.expose_password(),
            url.host,
            url.port,
            url.database
        )
    });
    let more = crate::plans::mover(
        "begun",
        &monolith,
        &service,
        &["public.a: {}", "public.b: {}"],
    )?;
    ensure!(more.begun_otherwise().await?.is_empty());
    let refused = async || match more.let_tables_join().await {
        Ok(joining) => anyhow::bail!("{joining:?} may join"),
        Err(error) => Ok(error.to_string()),
    };
    let text = refused().await?;
    ensure!(text.contains("`banyan start begun`"), "{text}");
    ensure!(more.let_no_tables_join().await?.is_empty());
    for side in Side::BOTH {
        let ours = pair.lines(side, "select to_regnamespace('banyan')").await?;
        ensure!(ours == ["()"], "{ours:?}");
    }
    pair.prepare_and_copy().await?;
    let filled = pair.superuser(Side::Service).await?;
    filled.batch_execute("insert into svc.b values (1)").await?;
    let text = refused().await?;
    ensure!(
        text.contains("svc.b") && text.contains("not empty"),
        "{text}"
    );
    filled.batch_execute("delete from svc.b").await?;
    let other = crate::plans::mover("begun", &monolith, &service, &["public.b: {}"])?;
    let text = other.let_tables_join().await.unwrap_err().to_string();
    ensure!(
        text.contains("public.a") && text.contains("leaves it out"),
        "{text}"
    );
    ensure!(pair.mover.begun_otherwise().await?.is_empty());
    let found = more.begun_otherwise().await?;
    ensure!(found.len() == 2, "{found:?}");
    let text = found[0].to_string();
    ensure!(
        text.contains("adds public.b") && text.contains("banyan add-table begun"),
        "{text}"
    );
    owned(&pair, "service", 1).await?;
    let text = refused().await?;
    ensure!(text.contains("`banyan rollback begun`"), "{text}");
    let text = more.begun_otherwise().await?[1].to_string();
    ensure!(
        text.contains("adds svc.b") && text.contains("banyan finish begun"),
        "{text}"
    );
    let text = other.begun_otherwise().await?[0].to_string();
    ensure!(
        text.contains("adds public.b and leaves out public.a"),
        "{text}"
    );

    // A table that was only let join is told, and its rows are nobody's to empty.
    owned(&pair, "monolith", 0).await?;
    ensure!(more.let_tables_join().await?.len() == 1);
    filled.batch_execute("insert into svc.b values (1)").await?;
    let cancelled = more.cancel(None).await?;
    let names = |tables: &[plan::TableName]| tables.iter().map(ToString::to_string).collect();
    let (emptied, left): (Vec<_>, Vec<_>) = (names(&cancelled.emptied), names(&cancelled.left));
    ensure!(emptied == ["svc.a"] && left == ["svc.b"], "{cancelled:?}");
    let why = cancelled.left_because.unwrap_or_default();
    ensure!(
        why == "svc.b may join and is not copied: what is there is the service's own",
        "{why}"
    );
    Ok(())
}

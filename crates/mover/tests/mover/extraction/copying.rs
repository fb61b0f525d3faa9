//! The copy: odd values, interruption, and that it is made once.

mod indexes;
mod publishing;
mod rewriting;

use crate::{
    extraction::databases::{Pair, pair},
    plans::conductor,
    queries::lines,
};
use anyhow::{Context, Result, bail, ensure};
use mover::{
    MoverError,
    copy::{CopyDone, CopyProgress, TableStage},
};
use protocol::{InstanceId, Lsn, Side};
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

const TYPES: &str = "
    create type mood as enum ('sad', 'it''s ok', 'Ünï');
    create domain percent as numeric(5,2) check (value <= 100);
    create type point3 as (x integer, y text);
";

const ODD_MONOLITH: &str = r#"
    create table "Odd Names" (
        "Id" uuid primary key, t text, v varchar(20), c char(5), n numeric, f float8, r real,
        d date, ts timestamp, tz timestamptz, i interval, j jsonb, js json, b bytea, a text[],
        m integer[][], e mood, es mood[], p percent, p3 point3, flag boolean, ip inet, bits bit(4),
        "quoted ""x""" text, g integer generated always as (1 + 1) stored, span int4range,
        counter integer generated always as identity
    );
    insert into "Odd Names" ("Id", t, v, c, n, f, r, d, ts, tz, i, j, js, b, a, m, e, es, p, p3,
        flag, ip, bits, "quoted ""x""", span) values
    ('00000000-0000-0000-0000-000000000001', null, null, null, null, null, null, null, null, null,
        null, null, null, null, null, null, null, null, null, null, null, null, null, null, null),
    ('00000000-0000-0000-0000-000000000002', '', '', '', 'NaN', 'NaN', '-Infinity', 'infinity',
        '-infinity', 'infinity', '-1 year 2 mons 3 days 04:05:06.789', '{}', '{ }', '', '{}', '{}',
        'sad', '{}', 0, '(,)', false, '::1', B'0000', '\N', 'empty'),
    ('ffffffff-ffff-ffff-ffff-ffffffffffff', E'a\tb\nc\\d\r"e'' ☃ 😀', 'NULL', 'ab',
        12345678901234567890.123456789012345678901234567890, 0.1, 1e-30, '0044-03-15 BC',
        '2026-02-28 23:59:59.999999', '2026-10-25 02:30:00+02', '178000000 years',
        '{"k": [1, null, "\u00e9\\"], "n": 1.10}', '{"b": 1, "a": 1, "a": 2}',
        '\x00ff5c27', array['NULL', null, 'a,b', '"q"', '\', '{}'], '{{1,2},{3,null}}', 'it''s ok',
        array['sad', null, 'Ünï']::mood[], 99.99, row(1, 'a,"b"'), true, '10.0.0.0/8', B'1010',
        'x"y', '[1,10)')
"#;

const ODD_SERVICE: &str = "
    create schema svc;
    create table svc.odd (
        t text, key uuid primary key, v varchar(20), c char(5), n numeric, f float8, r real,
        d date, ts timestamp, tz timestamptz, i interval, j jsonb, js json, b bytea, a text[],
        m integer[][], e mood, es mood[], p percent, p3 point3, flag boolean, ip inet, bits bit(4),
        quoted text, span int4range, g integer generated always as (3) stored,
        counter integer generated always as identity
    );
";

const ODD_TABLES: &[&str] =
    &[r#"public.Odd Names: { to: odd, columns: { Id: key, 'quoted "x"': quoted } }"#];

/// All columns that move, as text, NULL told from ''.
const ODD_ROWS: [&str; 2] = [
    r#"select row("Id", t, v, c, n, f, r, d, ts, tz, i, j, js, b, a, m, e, es, p, p3, flag, ip,
        bits, "quoted ""x""", span, counter)::text from "Odd Names" order by "Id""#,
    "select row(key, t, v, c, n, f, r, d, ts, tz, i, j, js, b, a, m, e, es, p, p3, flag, ip,
        bits, quoted, span, counter)::text from svc.odd order by key",
];

/// Types whose binary form names objects of one database only.
const OWN_ARRAYS: [&str; 2] = ["es", "p3"];

/// Copies them; `own_arrays` decides whether as text or in binary.
async fn odd_values(name: &str, own_arrays: bool) -> Result<()> {
    let pair = pair(
        name,
        &format!("{TYPES} {ODD_MONOLITH}"),
        &format!("{TYPES} {ODD_SERVICE}"),
        ODD_TABLES,
    )
    .await?;
    let mut queries = ODD_ROWS.map(ToOwned::to_owned);
    if !own_arrays {
        for column in OWN_ARRAYS {
            let drop = |table| format!("alter table {table} drop column {column}");
            pair.monolith.batch_execute(&drop("\"Odd Names\"")).await?;
            pair.service.batch_execute(&drop("svc.odd")).await?;
            queries = queries.map(|query| query.replace(&format!(", {column}"), ""));
        }
    }
    let claims = pair.prepare().await?;
    let progress = watch::Sender::new(CopyProgress::default());
    let done = pair.mover.copy(&claims, &progress).await?;
    let CopyDone::Copied {
        rows: 3,
        bytes,
        position,
    } = done
    else {
        bail!("{done:?}")
    };
    ensure!(bytes > 0 && position.0 > 0);
    {
        let progress = progress.borrow();
        ensure!(progress.rows_copied == 3 && progress.rows_total == 3);
        let [table] = progress.tables.as_slice() else {
            bail!("{progress:?}")
        };
        ensure!(table.rows_copied == 3 && table.rows_total == Some(3));
        ensure!(table.bytes == bytes && table.size_bytes > 0 && table.stage == TableStage::Done);
    }
    let there = pair.lines(Side::Service, &queries[1]).await?;
    assert_eq!(there, pair.lines(Side::Monolith, &queries[0]).await?);
    assert_eq!(there.len(), 3);
    let (_sender, applied) = watch::channel(Lsn(u64::MAX));
    let report = pair
        .mover
        .verify(Side::Monolith, applied, &watch::Sender::default())
        .await?;
    ensure!(report.differences_total == 0 && report.rows == 3);
    Ok(())
}

#[tokio::test]
async fn odd_values_arrive_as_they_are_in_binary() -> Result<()> {
    odd_values("odd_binary", false).await
}

#[tokio::test]
async fn odd_values_arrive_as_they_are_as_text() -> Result<()> {
    odd_values("odd_text", true).await
}

const WIDE: &str = "
    create table a (id bigint primary key, t text);
    create table b (id bigint primary key, a bigint references a, t text);
    insert into a select n, repeat('x', 200) from generate_series(1, 20000) n;
    insert into b select n, n, repeat('y', 200) from generate_series(1, 20000) n;
";

const WIDE_SERVICE: &str = "
    create schema svc;
    create table svc.a (id bigint primary key, t text);
    create table svc.b (id bigint primary key, a bigint references svc.a, t text);
";

const WIDE_TABLES: &[&str] = &["public.a: { }", "public.b: { }"];

async fn stream(pair: &Pair) -> Result<Vec<String>> {
    let admin = pair.superuser(Side::Service).await?;
    lines(&admin, "select state from banyan.stream").await
}

async fn counts(pair: &Pair) -> Result<Vec<String>> {
    let admin = pair.superuser(Side::Service).await?;
    let query = "select (select count(*) from svc.a), (select count(*) from svc.b)";
    lines(&admin, query).await
}

#[tokio::test]
async fn an_interrupted_copy_starts_over_and_a_finished_one_does_not() -> Result<()> {
    let pair = pair("interrupted", WIDE, WIDE_SERVICE, WIDE_TABLES).await?;
    let claims = pair.prepare().await?;
    // A writer's lock on one target: the other table is committed, then the
    // copy stands still, and is killed there.
    let mut blocker = pair.superuser(Side::Service).await?;
    let lock = blocker.transaction().await?;
    lock.batch_execute("lock table svc.b in share row exclusive mode")
        .await?;
    let (progress, mut seen) = watch::channel(CopyProgress::default());
    let mover = pair.mover.clone();
    let copying = tokio::spawn(async move { mover.copy(&claims, &progress).await });
    let watching = pair.superuser(Side::Service).await?;
    testbed::deadline::until("the first table", Duration::from_secs(30), async || {
        let row = watching
            .query_one("select count(*) from svc.a", &[])
            .await?;
        Ok((row.get::<_, i64>(0) == 20_000).then_some(()))
    })
    .await?;
    copying.abort();
    ensure!(copying.await.is_err_and(|error| error.is_cancelled()));
    {
        let progress = seen.borrow_and_update();
        ensure!(progress.rows_copied >= 20_000);
        // Nobody has analyzed them: nothing is made up of how many rows they have.
        for (table, total, is_done) in [("a", Some(20_000), true), ("b", None, false)] {
            let one = progress.tables.iter().find(|one| one.table.table == table);
            let one = one.context("a table")?;
            ensure!(one.rows_total == total && one.size_bytes > 0, "{one:?}");
            ensure!((one.stage == TableStage::Done) == is_done, "{one:?}");
        }
    }
    assert_eq!(stream(&pair).await?, ["(copying)"]);
    lock.rollback().await?;
    // What happened meanwhile must be in the new copy's snapshot or stream.
    pair.monolith
        .batch_execute("delete from b where id = 7; update a set t = 'new' where id = 7")
        .await?;

    let claims = pair.prepare().await?;
    let done = pair.mover.copy(&claims, &watch::Sender::default()).await?;
    ensure!(
        matches!(done, CopyDone::Copied { rows: 39_999, .. }),
        "{done:?}"
    );
    assert_eq!(stream(&pair).await?, ["(applying)"]);
    assert_eq!(counts(&pair).await?, ["(20000,19999)"]);

    pair.monolith.batch_execute("delete from b").await?;
    let again = pair.mover.copy(&claims, &watch::Sender::default()).await?;
    assert_eq!(again, CopyDone::AlreadyCopied);
    assert_eq!(counts(&pair).await?, ["(20000,19999)"]);
    let origins = "select roname from pg_replication_origin where roname like '%interrupted_copy%'";
    assert!(pair.lines(Side::Service, origins).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn rows_of_somebody_else_are_not_emptied() -> Result<()> {
    let pair = pair("rows_there", WIDE, WIDE_SERVICE, WIDE_TABLES).await?;
    let claims = pair.prepare().await?;
    let admin = pair.superuser(Side::Service).await?;
    let insert = "set session_replication_role = replica; \
                  alter table svc.a disable trigger banyan_fence; insert into svc.a values (1)";
    admin.batch_execute(insert).await?;
    let error = pair
        .mover
        .copy(&claims, &watch::Sender::default())
        .await
        .unwrap_err();
    ensure!(
        error
            .to_string()
            .contains("svc.a: the service's table is not empty"),
        "{error}"
    );
    assert_eq!(counts(&pair).await?, ["(1,0)"]);
    assert!(stream(&pair).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_copy_needs_the_claim_and_the_monolith_as_owner() -> Result<()> {
    let pair = pair("owned", WIDE, WIDE_SERVICE, WIDE_TABLES).await?;
    let old = pair.prepare().await?;
    let new = pair.prepare().await?;
    let error = pair
        .mover
        .copy(&old, &watch::Sender::default())
        .await
        .unwrap_err();
    ensure!(matches!(error, MoverError::Superseded { .. }), "{error}");
    for side in Side::BOTH {
        let admin = pair.superuser(side).await?;
        admin
            .batch_execute("update banyan.owner set owner = 'service'")
            .await?;
        let error = pair
            .mover
            .copy(&new, &watch::Sender::default())
            .await
            .unwrap_err();
        ensure!(
            error.to_string().contains("now the owner is service"),
            "{error}"
        );
        admin
            .batch_execute("update banyan.owner set owner = 'monolith'")
            .await?;
    }
    assert_eq!(counts(&pair).await?, ["(0,0)"]);
    Ok(())
}

#[tokio::test]
async fn preparing_again_changes_nothing_but_the_generation() -> Result<()> {
    let pair = pair("twice", WIDE, WIDE_SERVICE, WIDE_TABLES).await?;
    let first = pair.prepare().await?;
    let look = async || -> Result<Vec<Vec<String>>> {
        let mut all = Vec::new();
        for side in Side::BOTH {
            let admin = pair.superuser(side).await?;
            for query in [
                "select extraction, owner, epoch, instance, nonce, changed_at from banyan.owner",
                "select * from banyan.stream",
                "select tgname, tgenabled, tgrelid::regclass, oid from pg_trigger where tgname = 'banyan_fence'",
                "select oid, pubname from pg_publication",
                "select slot_name, confirmed_flush_lsn from pg_replication_slots where database = current_database()",
            ] {
                all.push(lines(&admin, query).await?);
            }
        }
        Ok(all)
    };
    let before = look().await?;
    let second = pair.prepare().await?;
    assert_eq!(before, look().await?);
    ensure!(second.monolith.generation > first.monolith.generation);
    // The row; the reverse stream; no fence; a publication; no slot yet.
    let sizes: Vec<usize> = before.iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 1, 0, 1, 0, 1, 0, 2, 1, 1]);
    let other = pair
        .mover
        .prepare(InstanceId(Uuid::from_u128(2)), conductor())
        .await
        .unwrap_err();
    ensure!(other.to_string().contains("banyan cancel twice"), "{other}");
    Ok(())
}

#[tokio::test]
async fn preparing_waits_out_locks() -> Result<()> {
    let pair = pair("patient", WIDE, WIDE_SERVICE, WIDE_TABLES).await?;
    let mut blocker = pair.superuser(Side::Service).await?;
    let lock = blocker.transaction().await?;
    lock.batch_execute("insert into svc.a values (-1)").await?;
    let mover = pair.mover.clone();
    let preparing = tokio::spawn(async move {
        mover
            .prepare(InstanceId(Uuid::from_u128(1)), conductor())
            .await
    });
    let watching = pair.superuser(Side::Monolith).await?;
    testbed::deadline::until("the monolith's side", Duration::from_secs(30), async || {
        let row = watching
            .query_one("select to_regclass('banyan.owner') is not null", &[])
            .await?;
        Ok(row.get::<_, bool>(0).then_some(()))
    })
    .await?;
    ensure!(!preparing.is_finished());
    lock.rollback().await?;
    preparing.await??;
    let error = pair
        .service
        .batch_execute("insert into svc.a values (-2)")
        .await
        .unwrap_err();
    ensure!(error.code().map(tokio_postgres::error::SqlState::code) == Some("25006"));
    Ok(())
}

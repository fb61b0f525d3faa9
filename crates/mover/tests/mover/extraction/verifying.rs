//! Verification: planted differences are found, moving rows are not taken for
//! differences.

use crate::extraction::databases::{Pair, pair};
use anyhow::{Result, ensure};
use mover::{
    MoverError,
    positions::Sampler,
    verify::{DifferenceKind, MOST_DIFFERENCES_KEPT, TableVerified, VerifyProgress, VerifyReport},
};
use protocol::{Lsn, Side};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

const MONOLITH: &str = "
    create table n (id bigint primary key, t text, amount numeric(10,2));
    create table c (b text, a integer, u uuid, v text, primary key (a, b));
    create table w (word text primary key, v integer);
    create table e (id integer primary key);
    insert into n select x * 10, md5(x::text), x from generate_series(1, 25000) x;
    insert into c select 'Wört ' || x % 7, x, md5(x::text)::uuid, null
        from generate_series(1, 12000) x;
    insert into w select 'k' || md5(x::text), x from generate_series(1, 11000) x;
    insert into w values ('', 1), ('Ä', 2), ('a\\b', 3), ('it''s \"q\"', 4), ('Z', 5), ('z', 6);
";

const SERVICE: &str = "
    create schema svc;
    create table svc.n (amount numeric(10,2), number bigint primary key, t text);
    create table svc.c (a integer, b text, u uuid, v text, primary key (a, b));
    create table svc.w (word text primary key, v integer);
    create table svc.e (id integer primary key);
";

const TABLES: &[&str] = &[
    "public.c: { }",
    "public.e: { }",
    "public.n: { columns: { id: number } }",
    "public.w: { }",
];

/// The end of any log.
const END: Lsn = Lsn(u64::MAX);

async fn verify(pair: &Pair, owner: Side) -> Result<VerifyReport> {
    let (_sender, applied) = watch::channel(END);
    Ok(pair
        .mover
        .verify(owner, applied, &watch::Sender::default())
        .await?)
}

fn shown(report: &VerifyReport) -> Vec<String> {
    let mut all: Vec<String> = report.differences.iter().map(ToString::to_string).collect();
    all.sort();
    all
}

/// A change at the service, past its fence.
async fn plant(pair: &Pair, change: &str) -> Result<()> {
    let admin = pair.superuser(Side::Service).await?;
    let past = "alter table svc.n disable trigger all; alter table svc.c disable trigger all; \
                alter table svc.w disable trigger all; alter table svc.e disable trigger all";
    admin.batch_execute(past).await?;
    Ok(admin.batch_execute(change).await?)
}

#[tokio::test]
async fn each_planted_difference_is_found_with_its_key() -> Result<()> {
    let pair = pair("planted", MONOLITH, SERVICE, TABLES).await?;
    pair.prepare_and_copy().await?;
    let progress = watch::Sender::new(VerifyProgress::default());
    let report = pair
        .mover
        .verify(Side::Monolith, watch::channel(END).1, &progress)
        .await?;
    ensure!(
        report.differences_total == 0 && report.rows == 48_006,
        "{report:?}"
    );
    let rows: Vec<u64> = report.tables.iter().map(|table| table.rows).collect();
    assert_eq!(rows, [12_000, 0, 25_000, 11_006]);
    ensure!(progress.borrow().rows_verified == 48_006 && progress.borrow().rows_total == 48_006);

    plant(
        &pair,
        "delete from svc.n where number in (10, 100000, 250000);
         insert into svc.n values (0, -5, 'before'), (0, 15, 'between'), (0, 999999, 'after');
         update svc.n set t = t || ' ' where number = 20;
         update svc.n set amount = null where number = 150000;
         update svc.c set v = '' where a = 77;
         delete from svc.c where a = 12000; insert into svc.c values (12000, 'x', null, null);
         update svc.w set v = 0 where word in ('', 'a\\b'); delete from svc.w where word = 'Ä';
         insert into svc.e values (1)",
    )
    .await?;
    let expected = [
        "public.c a=12000 b=Wört 2: missing",
        "public.c a=12000 b=x: extra",
        "public.c a=77 b=Wört 0: changed",
        "public.e id=1: extra",
        "public.n id=-5: extra",
        "public.n id=10: missing",
        "public.n id=100000: missing",
        "public.n id=15: extra",
        "public.n id=150000: changed",
        "public.n id=20: changed",
        "public.n id=250000: missing",
        "public.n id=999999: extra",
        "public.w word=: changed",
        "public.w word=a\\b: changed",
        "public.w word=Ä: missing",
    ];
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    let report = verify(&pair, Side::Monolith).await?;
    assert_eq!(
        shown(&report),
        sorted(expected.map(ToOwned::to_owned).into())
    );
    ensure!(report.differences_total == 15);
    let by_column = |report: &VerifyReport| {
        let tables = report.tables.iter();
        let counts = |one: &TableVerified| format!("{:?}", one.differing.columns);
        tables.map(counts).collect::<Vec<_>>()
    };
    let columns = [
        "{\"v\": 1}",
        "{}",
        "{\"amount\": 1, \"t\": 1}",
        "{\"v\": 2}",
    ];
    assert_eq!(by_column(&report), columns);
    let n = &report.tables[2].differing;
    ensure!((n.differences, n.rows_by_column) == (8, 2), "{n:?}");
    ensure!(n.kinds[&DifferenceKind::Missing] == 3, "{n:?}");

    // From the service's side what was missing is extra, under the same names.
    let back = verify(&pair, Side::Service).await?;
    let turned: Vec<String> = expected
        .iter()
        .map(|line| match line.rsplit_once(": ") {
            Some((row, "missing")) => format!("{row}: extra"),
            Some((row, "extra")) => format!("{row}: missing"),
            _ => (*line).to_owned(),
        })
        .collect();
    assert_eq!(shown(&back), sorted(turned));
    assert_eq!(by_column(&back), columns);
    Ok(())
}

#[tokio::test]
async fn arrays_of_bounded_texts_are_compared() -> Result<()> {
    let table = "(words character varying(9)[] primary key, bits bit varying(3)[])";
    let monolith = format!(
        "create table v {table}; insert into v values ('{{}}', null), \
         ('{{\"a,b\",null,\"NULL\"}}', '{{101,null}}')"
    );
    let service = format!("create schema svc; create table svc.v {table}");
    let pair = pair("arrays", &monolith, &service, &["public.v: { }"]).await?;
    pair.prepare_and_copy().await?;
    ensure!(verify(&pair, Side::Monolith).await?.differences_total == 0);
    let change = "alter table svc.v disable trigger all; update svc.v set bits = '{}' \
                  where bits is null";
    pair.superuser(Side::Service)
        .await?
        .batch_execute(change)
        .await?;
    let report = verify(&pair, Side::Monolith).await?;
    assert_eq!(shown(&report), ["public.v words={}: changed"]);
    Ok(())
}

#[tokio::test]
async fn an_empty_side_is_all_missing_and_counted() -> Result<()> {
    let pair = pair("all_missing", MONOLITH, SERVICE, TABLES).await?;
    pair.prepare_and_copy().await?;
    plant(
        &pair,
        "truncate svc.n; insert into svc.e select generate_series(1, 12345)",
    )
    .await?;
    let report = verify(&pair, Side::Monolith).await?;
    assert_eq!(report.differences_total, 37_345);
    assert_eq!(report.differences.len(), MOST_DIFFERENCES_KEPT);
    assert_eq!(report.differences[0].kind, DifferenceKind::Extra);
    let report = serde_json::to_value(&report)?;
    assert_eq!(report["differences"][0]["kind"], "extra");
    Ok(())
}

#[tokio::test]
async fn collations_that_differ_do_not_matter() -> Result<()> {
    let locale = "select collname from pg_collation where collname in ('en-x-icu', 'und-x-icu')";
    let monolith = MONOLITH.replace("word text", "word text collate \"en-x-icu\"");
    let pair = pair("collations", &monolith, SERVICE, TABLES).await?;
    ensure!(
        !pair.lines(Side::Monolith, locale).await?.is_empty(),
        "built without ICU"
    );
    pair.prepare_and_copy().await?;
    ensure!(verify(&pair, Side::Monolith).await?.differences_total == 0);
    plant(&pair, "update svc.w set v = 0 where word in ('Z', 'Ä')").await?;
    for owner in Side::BOTH {
        let report = verify(&pair, owner).await?;
        assert_eq!(
            shown(&report),
            ["public.w word=Z: changed", "public.w word=Ä: changed"]
        );
    }
    Ok(())
}

/// Applies every change of `n` at the service some time later, as a follower
/// would, and tells up to where.
async fn follow_slowly(
    pair: &Pair,
    applied: watch::Sender<Lsn>,
    stop: Arc<AtomicBool>,
) -> Result<()> {
    let source = pair.superuser(Side::Monolith).await?;
    let target = pair.superuser(Side::Service).await?;
    let sampler = Sampler::start(Side::Monolith, pair.mover.database(Side::Monolith));
    while !stop.load(Ordering::Relaxed) {
        let Some(position) = sampler.sample().await else {
            continue;
        };
        // All that is visible now includes all before the position.
        let rows = source
            .query("select id, t, amount::text from n where id <= 2000", &[])
            .await?;
        let (mut ids, mut texts, mut amounts) = (Vec::new(), Vec::new(), Vec::new());
        for row in &rows {
            ids.push(row.get::<_, i64>(0));
            texts.push(row.get::<_, Option<String>>(1));
            amounts.push(row.get::<_, Option<String>>(2));
        }
        target
            .execute(
                "with d as (delete from svc.n where number <= 2000 and number <> all($1)), \
                 s as (select * from unnest($1::bigint[], $2::text[], $3::text[]) s(id, t, amount)) \
                 insert into svc.n (number, t, amount) select id, t, amount::numeric from s \
                 on conflict (number) do update set t = excluded.t, amount = excluded.amount",
                &[&ids, &texts, &amounts],
            )
            .await?;
        applied.send_replace(position);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_move_are_not_differences_and_those_among_them_are() -> Result<()> {
    let pair = pair("moving", MONOLITH, SERVICE, TABLES).await?;
    pair.prepare_and_copy().await?;
    plant(&pair, "update svc.n set t = 'planted' where number = 30000").await?;
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, applied) = watch::channel(Lsn(0));
    let writer = pair.superuser(Side::Monolith).await?;
    let stopped = Arc::clone(&stop);
    let writing = tokio::spawn(async move {
        let mut written = 0_u64;
        while !stopped.load(Ordering::Relaxed) {
            writer
                .batch_execute(
                    "update n set amount = coalesce(amount, 0) + 1 where id in (10, 20, 30, 40); \
                     update n set t = t || 'x' where id = 10 + (random() * 190)::integer * 10; \
                     delete from n where id = 2000; insert into n values (2000, random()::text, 1); \
                     delete from n where id = 1999; insert into n values (1999, 'same', 1)",
                )
                .await?;
            written += 1;
        }
        anyhow::Ok(written)
    });
    let verifying = async {
        let mut reports = Vec::new();
        for _ in 0..5 {
            reports.push(
                pair.mover
                    .verify(Side::Monolith, applied.clone(), &watch::Sender::default())
                    .await,
            );
        }
        stop.store(true, Ordering::Relaxed);
        reports
    };
    let (reports, followed) =
        tokio::join!(verifying, follow_slowly(&pair, sender, Arc::clone(&stop)));
    followed?;
    ensure!(writing.await?? > 0);
    for report in reports {
        let mut report = report?;
        report
            .differences
            .retain(|one| one.kind != DifferenceKind::Unsettled);
        assert_eq!(shown(&report), ["public.n id=30000: changed"]);
    }
    Ok(())
}

#[tokio::test]
async fn a_follower_that_ended_is_an_error() -> Result<()> {
    let pair = pair("ended", MONOLITH, SERVICE, TABLES).await?;
    pair.prepare_and_copy().await?;
    plant(&pair, "delete from svc.n where number = 10").await?;
    let (sender, applied) = watch::channel(Lsn(0));
    drop(sender);
    let error = pair
        .mover
        .verify(Side::Monolith, applied, &watch::Sender::default())
        .await
        .unwrap_err();
    ensure!(matches!(error, MoverError::Data { .. }), "{error}");
    ensure!(error.to_string().contains("Verify again"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_follower_that_does_not_move_is_a_bounded_wait() -> Result<()> {
    let pair = pair("stuck", MONOLITH, SERVICE, TABLES).await?;
    pair.prepare_and_copy().await?;
    plant(&pair, "delete from svc.n where number = 10").await?;
    let (_sender, applied) = watch::channel(Lsn(0));
    let progress = watch::Sender::default();
    let verifying = pair.mover.verify(Side::Monolith, applied, &progress);
    let error = tokio::time::timeout(Duration::from_mins(1), verifying)
        .await?
        .unwrap_err();
    ensure!(matches!(error, MoverError::Deadline { .. }), "{error}");
    Ok(())
}

//! What a hand-over carries over beside the rows, and what would be in its way:
//! sequences of any kind, and rows that a constraint of the target's forbids.

use super::{fenced, handover};
use crate::extraction::databases::{Pair, pair};
use anyhow::{Context, Result, ensure};
use mover::{
    Claims,
    follow::{FollowPhase, Follower},
};
use protocol::{Side, owner::Outcome, stream::Direction};
use std::{collections::BTreeMap, fmt::Write as _, time::Instant};
use testbed::deadline;

async fn blockers(pair: &Pair, from: Side) -> Result<String> {
    let found = pair.mover.blockers(from).await?;
    let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
    Ok(lines.join("\n"))
}

async fn switched(pair: &Pair, claims: &Claims) -> Result<()> {
    let lock = fenced(pair, claims, &handover(1)).await?;
    pair.mover.advance_sequences(claims, &handover(1)).await?;
    pair.mover
        .decide(Some(lock), claims, &handover(1), Outcome::Committed)
        .await?;
    Ok(pair.mover.open(claims, &handover(1)).await?)
}

/// Also sequences that go down, in steps, or are used by a default only, though
/// another one belongs to the column.
#[tokio::test(flavor = "multi_thread")]
async fn sequences_of_any_kind_move_past_the_old_owners() -> Result<()> {
    let tables = |schema: &str, more: &str| {
        format!(
            "{more} create sequence {schema}.down increment -1; \
             create sequence {schema}.steps increment 10 start 3; \
             create table {schema}.a (id bigint default nextval('{schema}.down') primary key, \
                 n bigint default nextval('{schema}.steps'), m bigserial, v text); \
             create sequence {schema}.of_many start 5000; \
             alter table {schema}.a alter m set default nextval('{schema}.of_many')"
        )
    };
    let pair = pair(
        "sequences_kinds",
        &tables("public", ""),
        &tables("svc", "create schema svc;"),
        &["public.a: {}"],
    )
    .await?;
    pair.monolith
        .batch_execute("insert into a (v) select 'x' from generate_series(1, 450)")
        .await?;
    let claims = pair.prepare_and_copy().await?;
    ensure!(blockers(&pair, Side::Monolith).await?.is_empty());
    switched(&pair, &claims).await?;
    let new = "insert into svc.a (v) values ('n') returning id, n, m";
    let row = pair.service.query_one(new, &[]).await?;
    let (id, n, m): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    ensure!(id == -450 - 1000 - 1, "{id}");
    // 3, 13, 23 and so on, past the last of 450 by at least 1000.
    ensure!(n == 3 + 449 * 10 + 1000 + 10, "{n}");
    ensure!(m == 5000 + 449 + 1000 + 1, "{m}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sequences_in_the_way_are_found_before_anything_is_held() -> Result<()> {
    let pair = pair(
        "sequences_way",
        super::MONOLITH,
        super::SERVICE,
        super::TABLES,
    )
    .await?;
    let claims = pair.prepare_and_copy().await?;
    ensure!(blockers(&pair, Side::Monolith).await?.is_empty());
    // Of somebody else, without a right for us.
    let admin = pair.superuser(Side::Service).await?;
    admin
        .batch_execute(
            "alter table svc.a alter id drop identity; create sequence svc.others; \
             alter table svc.a alter id set default nextval('svc.others')",
        )
        .await?;
    let found = blockers(&pair, Side::Monolith).await?;
    let grant = "grant select, update on sequence svc.others to banyan_mover";
    ensure!(found.contains(grant), "{found}");
    let lock = fenced(&pair, &claims, &handover(1)).await?;
    let error = pair.mover.advance_sequences(&claims, &handover(1)).await;
    let error = error.err().context("it was moved")?.to_string();
    ensure!(error.contains(grant), "{error}");
    drop(lock);
    admin
        .batch_execute("alter sequence svc.others maxvalue 100; grant select, update on sequence svc.others to banyan_mover")
        .await?;
    pair.mover
        .decide(None, &claims, &handover(1), Outcome::Aborted)
        .await?;
    let found = blockers(&pair, Side::Monolith).await?;
    ensure!(found.contains("which is past its end, 100"), "{found}");
    Ok(())
}

/// What would give out taken numbers, or ones that the column does not hold, is in the
/// way: columns of domains and of `numeric(n)`, and sequences that begin anew. Of one
/// that goes on in steps, each stands for a whole step.
#[tokio::test(flavor = "multi_thread")]
async fn sequences_that_would_give_out_what_is_taken_or_too_large() -> Result<()> {
    let tables = |schema: &str, hilo: &str, ring: &str| {
        format!(
            "create domain {schema}.small as smallint; create domain {schema}.id as {schema}.small; \
             create sequence {schema}.ids; create sequence {schema}.numbers; \
             create sequence {schema}.hilo {hilo}; create sequence {schema}.ring {ring}; \
             create table {schema}.a (id {schema}.id default nextval('{schema}.ids') primary key, \
                 n numeric(6, 2) default nextval('{schema}.numbers'), \
                 h bigint default nextval('{schema}.hilo'), \
                 r bigint default nextval('{schema}.ring'))"
        )
    };
    let service = tables("svc", "", "maxvalue 500 cycle");
    let pair = pair(
        "sequences_taken",
        &tables("public", "increment 5000 start 1", ""),
        &format!("create schema svc; {service}"),
        &["public.a: {}"],
    )
    .await?;
    pair.monolith
        .batch_execute(
            "insert into a select from generate_series(1, 2); \
             select setval('ids', 32000), setval('numbers', 9500)",
        )
        .await?;
    let claims = pair.prepare_and_copy().await?;
    let found = blockers(&pair, Side::Monolith).await?;
    for words in [
        "sequence svc.ids of svc.a.id in the service's database: a hand-over moves it past the \
         monolith's by 1000 (`switch.block`, or a step of that one), which is past its end, 32767",
        "which is past its end, 9999",
        "which is past its end, 500: it would begin anew, with numbers that are taken",
    ] {
        ensure!(found.contains(words), "{words}: {found}");
    }
    ensure!(found.lines().count() == 3, "{found}");
    pair.monolith
        .batch_execute("select setval('ids', 2), setval('numbers', 2)")
        .await?;
    pair.service
        .batch_execute("alter sequence svc.ring no maxvalue")
        .await?;
    ensure!(blockers(&pair, Side::Monolith).await?.is_empty());
    switched(&pair, &claims).await?;
    let new = "insert into svc.a default values returning h, r";
    let row = pair.service.query_one(new, &[]).await?;
    let (h, r): (i64, i64) = (row.get(0), row.get(1));
    // The monolith's second stands for 5001 to 10000.
    ensure!(h == 5001 + 5000 + 1, "{h}");
    ensure!(r == 2 + 1000 + 1, "{r}");
    Ok(())
}

/// Foreign keys, and deferrable unique and exclusion constraints, are not enforced
/// while rows are applied. Their columns' types may be an extension's, with operators in its
/// schema.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_the_targets_constraints_forbid_stand_in_the_way() -> Result<()> {
    let monolith = "create extension ltree; create table a (id bigint primary key, v ltree); \
         create table b (id bigint primary key, a bigint, span int4range); \
         insert into a values (1, 'same'), (2, 'same'), (3, null), (4, null); \
         insert into b values (1, 1), (2, null), (7, 70), (8, 80); \
         insert into b values (11, 1, '[1,5]'), (12, 1, '[5,6]'), (13, 1, '[7,8]'), (24, 1, '[1,9]')";
    let service = "create extension ltree; create schema svc; \
         create table svc.a (id bigint primary key, v ltree unique deferrable); \
         create table svc.b (id bigint primary key, a bigint references svc.a, span int4range, \
            constraint apart exclude using gist (span with &&) where (id < 20) deferrable)";
    let pair = pair("unenforced", monolith, service, super::TABLES).await?;
    pair.prepare_and_copy().await?;
    let found = blockers(&pair, Side::Monolith).await?;
    for words in [
        "constraint b_a_fkey of svc.b in the service's database: 2 rows refer to nothing, the first \
         with the key (7)",
        "constraint a_v_key of svc.a in the service's database: 2 rows are there more than once, \
         the first with the key (1)",
        "constraint apart of svc.b in the service's database: 2 rows exclude each other, the first \
         with the key (11)",
    ] {
        ensure!(found.contains(words), "{found}");
    }
    ensure!(found.lines().count() == 3, "{found}");
    ensure!(!found.contains("same"), "a value: {found}");
    // The way that it names is one.
    pair.service
        .batch_execute(
            "alter table \"svc\".\"b\" drop constraint \"b_a_fkey\"; \
             alter table \"svc\".\"b\" drop constraint \"apart\"; \
             alter table \"svc\".\"a\" drop constraint \"a_v_key\"",
        )
        .await?;
    ensure!(blockers(&pair, Side::Monolith).await?.is_empty());
    Ok(())
}

/// The source may empty a table that others refer to in the target only.
#[tokio::test(flavor = "multi_thread")]
async fn truncating_what_only_the_target_refers_to() -> Result<()> {
    let monolith = "create table a (id bigint primary key, v text); \
         create table b (id bigint primary key, a bigint); insert into a values (1), (2)";
    let service = "create schema svc; create table svc.a (id bigint primary key, v text); \
         create table svc.b (id bigint primary key, a bigint references svc.a)";
    let pair = pair("truncating", monolith, service, super::TABLES).await?;
    let claims = pair.prepare_and_copy().await?;
    let follower = Follower::start(&pair.mover, Direction::Forward, &claims);
    pair.monolith
        .batch_execute("truncate a; insert into a values (3)")
        .await?;
    deadline::until("the truncation", super::LONG, async || {
        let rows = pair.lines(Side::Service, "select id from svc.a").await?;
        let status = follower.status().borrow().clone();
        let failed = matches!(status.phase, FollowPhase::Failed { .. });
        ensure!(!failed, "{status:?}");
        Ok((rows == ["(3)"]).then_some(()))
    })
    .await
}

/// Prints how long a hand-over's steps take with many tables.
#[tokio::test(flavor = "multi_thread")]
async fn sequences_of_many_tables_move_at_once() -> Result<()> {
    const TABLES: usize = 155;
    let mut make = String::new();
    let mut lines = Vec::new();
    for at in 0..TABLES {
        write!(
            make,
            "create table SCHEMA.t{at} (id bigint generated by default as identity primary key); "
        )?;
        lines.push(format!("public.t{at}: {{}}"));
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let monolith = make.replace("SCHEMA", "public");
    let service = format!("create schema svc; {}", make.replace("SCHEMA", "svc"));
    let pair = pair("many_tables", &monolith, &service, &lines).await?;
    let claims = pair.prepare().await?;
    // Each somewhere else; what a table has beside its sequence does not count.
    let used = (1..TABLES).fold(String::new(), |all, table| {
        all + &format!("select setval('t{table}_id_seq', {table});")
    });
    pair.monolith.batch_execute(&used).await?;
    pair.monolith
        .batch_execute("insert into t7 select generate_series(1, 9)")
        .await?;
    let started = Instant::now();
    let lock = fenced(&pair, &claims, &handover(1)).await?;
    let fence = started.elapsed();
    let started = Instant::now();
    pair.mover.advance_sequences(&claims, &handover(1)).await?;
    println!(
        "{TABLES} tables: fence {fence:?}, sequences {:?}",
        started.elapsed()
    );
    pair.mover
        .decide(Some(lock), &claims, &handover(1), Outcome::Committed)
        .await?;
    let at = "select sequencename::text, last_value from pg_sequences where schemaname = 'svc'";
    let at: BTreeMap<String, Option<i64>> = pair
        .service
        .query(at, &[])
        .await?
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    // Past the old owner's by the block; one that was never used stays so.
    let expected = (0..TABLES).map(|table| {
        let last = (table > 0).then(|| i64::try_from(table).map(|table| table + 1000));
        anyhow::Ok((format!("t{table}_id_seq"), last.transpose()?))
    });
    assert_eq!(at, expected.collect::<Result<_>>()?);
    Ok(())
}

//! Every kind of change arrives, with every kind of value.

use crate::{
    follow::scene::{Scene, failed, reached},
    repairs::past_the_fence,
};
use anyhow::{Result, ensure};
use protocol::{Side, stream::Direction};

const ODD: &str = "
insert into contracts (title, amount, price, mood, code, terms, tags, raw, note, fixed, bits, at, day, span, score, flag, u, numbers, slot) values
  (null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null),
  ('', 'NaN', 0, 'sad', '', '{}', '{}', '', '', '', B'0000', 'infinity', 'infinity', '0', 'NaN', false, gen_random_uuid(), '{}', 1),
  ('NULL', '-Infinity', -99999999.99, 'it''s ok', 'NULL', 'null', '{NULL,\"NULL\",\"\"}', '\\x00ff5c27', 'NULL', 'a', B'1010', '-infinity', '-infinity', '1 year -2 mons 3 days 04:05:06.789', 'Infinity', true, gen_random_uuid(), '{1,NULL,3}', 2),
  (E'a\\tb\\nc\\\\d''\"{},;$1', 123456789012345678901234567890.12345678901234567890, 0.01, 'happy', E'\\\\N', '{\"a\": [1, 2.50, \"\\u00e9\\n\"], \"b\": null}',
   array['a,b', '{x}', E'\\\\', E'q\"q', null], decode(repeat('00ff', 3000), 'hex'), E'\\\\N', 'é', B'1111', '4713-01-01 00:00:00 BC', '0001-01-01', '-00:00:00.000001', '-0', null, null, '{{1,2},{3,4}}', 3),
  ('snow ☃ 🎉 e\u{301} ß', 1e-20, 1, null, '☃', '\"☃\"', '{☃}', null, repeat('☃', 9000), '☃', null, '2026-01-01 00:00:00.123456+14', null, null, 4.9e-324, null, null, null, 4),
  ('t', 0.000, 1.10, null, null, '{\"z\":1,\"a\":1.0}', null, null, null, 'abc', null, '294276-12-31 23:59:59.999999', '5874897-12-31', '178000000 years', 1.7976931348623157e308, null, null, null, 5)";

#[tokio::test(flavor = "multi_thread")]
async fn odd_values() -> Result<()> {
    let scene = Scene::new(ODD).await?;
    let forward = scene.follow(Direction::Forward);
    let user = scene.user(Side::Monolith).await?;
    ensure!(scene.same().await? == 6, "the copy");
    // As many rows again with other unique values, then all of them updated.
    user.batch_execute("update contracts set slot = slot + 1000, u = null")
        .await?;
    user.batch_execute(ODD).await?;
    scene.caught_up(&forward, Side::Monolith).await?;
    ensure!(scene.same().await? == 12);
    user.batch_execute("update contracts set title = title, note = note || 'x', amount = null, tags = terms::text::text[] where false; \
        update contracts a set (title, amount, price, mood, code, terms, tags, raw, fixed, bits, at, day, span, score, flag, numbers) = \
            (select title, amount, price, mood, code, terms, tags, raw, fixed, bits, at, day, span, score, flag, numbers \
             from contracts b where b.id = 13 - a.id)").await?;
    scene.caught_up(&forward, Side::Monolith).await?;
    ensure!(scene.same().await? == 12);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn large_values_that_do_not_change_stay() -> Result<()> {
    let scene = Scene::new(
        "alter table contracts alter note set storage external; \
         insert into contracts (title, note, raw) select 't' || n, repeat(md5(n::text), 1000), decode(repeat(md5(n::text), 500), 'hex') \
         from generate_series(1, 50) n",
    )
    .await?;
    let forward = scene.follow(Direction::Forward);
    let user = scene.user(Side::Monolith).await?;
    for identity in ["default", "full"] {
        user.batch_execute(&format!(
            "alter table contracts replica identity {identity}; \
             update contracts set title = 'once {identity}'; update contracts set title = 'twice' where id < 20; \
             begin; update contracts set note = 'short' where id = 1; update contracts set title = 'after' where id = 1; commit; \
             begin; update contracts set title = 'x' where id = 2; update contracts set note = repeat('y', 9000) where id = 2; \
                    update contracts set amount = 3 where id = 2; commit; \
             update contracts set id = id + 1000 where id = 3; update contracts set id = id - 1000 where id > 1000; \
             begin; insert into contracts (id, note) values (777, repeat('z', 20000)); update contracts set title = 'z' where id = 777; commit; \
             delete from contracts where id = 777"
        ))
        .await?;
        scene.caught_up(&forward, Side::Monolith).await?;
        ensure!(scene.same().await? == 50, "{identity}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_unique_values_wander() -> Result<()> {
    let scene = Scene::new(
        "insert into contracts (title, slot) select 't', n from generate_series(1, 20) n; \
         insert into lines select n, p, 'l' from generate_series(1, 20) n, generate_series(1, 3) p",
    )
    .await?;
    let forward = scene.follow(Direction::Forward);
    let user = scene.user(Side::Monolith).await?;
    let histories = [
        // Unique values in a ring: the net effect cannot be applied at once.
        "begin; update contracts set slot = 100 where id = 1; update contracts set slot = 1 where id = 2; \
         update contracts set slot = 2 where id = 3; update contracts set slot = 3 where id = 1; commit",
        // Delete and insert with the same key, and the same unique value.
        "begin; delete from lines where contract_id = 5; delete from contracts where id = 5; \
         insert into contracts (id, title, slot) values (5, 'again', 5); insert into lines values (5, 1, 'again'); commit",
        // A new key, and somebody else at the old one.
        "begin; update contracts set id = 500 where id = 6; update lines set contract_id = 500 where contract_id = 6; \
         insert into contracts (id, title) values (6, 'new six'); update contracts set title = 'moved' where id = 500; commit",
        // Keys in a ring, the foreign key deferred.
        "begin; update contracts set id = -7 where id = 7; update contracts set id = 7 where id = 8; update contracts set id = 8 where id = -7; \
         update lines set position = position + 10 where contract_id = 8; commit",
        // Comes and goes; goes and does not come back.
        "begin; insert into contracts (id, slot) values (900, 900); delete from contracts where id = 900; \
         delete from lines where contract_id = 9; delete from contracts where id = 9; commit",
        // Children before the parent.
        "begin; insert into lines values (901, 1, 'early'); insert into contracts (id) values (901); commit",
        "update contracts set slot = 21 - slot where slot <= 20 and false; \
         begin; update contracts set slot = slot + 1000 where slot is not null; update contracts set slot = slot - 999 where slot >= 1000; commit",
    ];
    for history in histories {
        user.batch_execute(history).await?;
    }
    scene.caught_up(&forward, Side::Monolith).await?;
    ensure!(scene.same().await? == 21);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn truncation() -> Result<()> {
    let scene = Scene::new(
        "insert into contracts (title) select 't' from generate_series(1, 20) n; \
         insert into lines select n, 1, 'l' from generate_series(1, 20) n",
    )
    .await?;
    let forward = scene.follow(Direction::Forward);
    let user = scene.user(Side::Monolith).await?;
    user.batch_execute("begin; insert into lines values (1, 2, 'x'); set constraints all immediate; truncate lines; insert into lines values (1, 3, 'y'); commit").await?;
    scene.caught_up(&forward, Side::Monolith).await?;
    ensure!(scene.same().await? == 20);
    user.batch_execute("truncate contracts, lines, documents restart identity")
        .await?;
    user.batch_execute("insert into contracts (title) values ('first')")
        .await?;
    scene.caught_up(&forward, Side::Monolith).await?;
    ensure!(scene.same().await? == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_large_transaction_in_bounded_memory() -> Result<()> {
    let scene = Scene::new("").await?;
    let forward = scene.follow(Direction::Forward);
    let user = scene.user(Side::Monolith).await?;
    let rows = 200_000;
    let before = resident_bytes()?;
    user.batch_execute(&format!(
        "begin; insert into contracts (title, note, slot) select 't' || n, repeat('n', 300), n from generate_series(1, {rows}) n; \
         update contracts set title = 'u' where id % 2 = 0; delete from contracts where id % 10 = 0; commit"
    ))
    .await?;
    let position = scene.sampler(Side::Monolith).sample().await.unwrap();
    let mut most = 0;
    let target = scene.user(Side::Service).await?;
    loop {
        most = most.max(resident_bytes()?);
        let done = reached(&forward, position, std::time::Duration::from_millis(20))
            .await
            .is_ok();
        let count: i64 = target
            .query_one("select count(*) from svc.agreements", &[])
            .await?
            .get(0);
        ensure!(
            count == 0 || count == rows * 9 / 10,
            "a part of a transaction was seen: {count}"
        );
        if done {
            break;
        }
    }
    ensure!(scene.same().await? == rows * 9 / 10);
    let grown = most.saturating_sub(before) >> 20;
    println!("memory grew by at most {grown} MiB");
    ensure!(grown < 120, "memory grew by {grown} MiB");
    Ok(())
}

fn resident_bytes() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = text.split(' ').nth(1).unwrap_or_default().parse()?;
    Ok(pages * 4096)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_missing_stops_the_follower() -> Result<()> {
    for (divergence, change) in [
        (
            "delete from svc.agreements where id = 2",
            "update contracts set title = 'new' where id = 2",
        ),
        (
            "delete from svc.agreements where id = 2",
            "delete from contracts where id = 2",
        ),
        (
            "insert into svc.agreements (id) overriding system value values (100)",
            "insert into contracts (id) values (100)",
        ),
    ] {
        let scene =
            Scene::new("insert into contracts (title) values ('secret'), ('secret')").await?;
        let forward = scene.follow(Direction::Forward);
        let service = scene.user(Side::Service).await?;
        past_the_fence(&service, "big-contracts", divergence).await?;
        let user = scene.user(Side::Monolith).await?;
        user.batch_execute("insert into contracts (id, title) values (50, 'before')")
            .await?;
        user.batch_execute(change).await?;
        let error = failed(&forward).await?;
        ensure!(
            error.contains("svc.agreements") && error.contains("disable trigger banyan_fence"),
            "{error}"
        );
        ensure!(!error.contains("secret"), "{error}");
        // What was whole before it is not lost with it when it is repaired.
        let repair = "delete from svc.agreements where id = 100; insert into svc.agreements \
            (id, name) overriding system value values (2, 'secret') on conflict do nothing";
        past_the_fence(&service, "big-contracts", repair).await?;
        forward.resume();
        scene.caught_up(&forward, Side::Monolith).await?;
        scene.same().await?;
    }
    Ok(())
}

//! Whom the fence lets through: no role, only what holds the row as its claim's.

use super::{LONG, fenced, handover, handover_from, prepared, refused};
use crate::{
    extraction::{
        databases::{APP, MOVER, Pair, clusters},
        dumping::dump_and_restore,
    },
    plans::conductor,
    queries::lines,
    repairs::past_the_fence,
};
use anyhow::{Context, Result, ensure};
use mover::{Claims, layout::claim_text};
use protocol::{Side, owner::Outcome};
use testbed::cluster::connect_url;
use tokio_postgres::error::SqlState;

/// The fence of the first release, which let a role through.
const FORMER: &str = "create or replace function banyan.fence() returns trigger \
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $f$ \
    declare allowed text; begin \
    if session_user = 'banyan_mover' then return null; end if; \
    select owner into allowed from banyan.owner where extraction = tg_argv[0] for share; \
    if allowed is distinct from tg_argv[1] then \
        raise exception 'no' using errcode = 'read_only_sql_transaction'; end if; \
    return null; end $f$; \
    revoke all on schema banyan from public; revoke all on banyan.owner from public; \
    revoke all on banyan.stream from public; comment on schema banyan is null";

/// It did not count, either.
const UNCOUNTED: &str = "drop function banyan.count_refusal; \
    drop sequence banyan.refusals_former_schema, banyan.first_refusal_former_schema, \
        banyan.last_refusal_former_schema";

async fn switched(name: &str) -> Result<(Pair, Claims)> {
    let (pair, claims) = prepared(name).await?;
    let lock = fenced(&pair, &claims, &handover(1)).await?;
    pair.mover
        .decide(Some(lock), &claims, &handover(1), Outcome::Committed)
        .await?;
    pair.mover.open(&claims, &handover(1)).await?;
    Ok((pair, claims))
}

/// The application may use Banyan's own role, and even call itself `banyan`.
#[tokio::test(flavor = "multi_thread")]
async fn our_role_passes_no_fence() -> Result<()> {
    let (pair, _) = switched("role_passes").await?;
    for side in [Side::Monolith, Side::Service] {
        let url = clusters().await?.of(side).url(MOVER, &pair.database)?;
        let session = connect_url(&format!("{url}?application_name=banyan")).await?;
        let insert = match side {
            Side::Monolith => "insert into a (v) values ('lost')",
            Side::Service => "insert into svc.a (id, v) values (9999, 'new')",
        };
        let written = session.batch_execute(insert).await;
        match side {
            Side::Monolith => refused(written)?,
            Side::Service => written?,
        }
    }
    Ok(())
}

/// The row and the triggers are in a dump, so its copy refuses writes as well, where no Banyan
/// runs; until what is ours is dropped there.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_dump_is_fenced_until_our_schema_goes() -> Result<()> {
    let (pair, _) = switched("restored").await?;
    dump_and_restore(&pair, Side::Monolith, "restored_copy").await?;
    let cluster = clusters().await?.of(Side::Monolith);
    let copy = cluster.client(APP, "restored_copy").await?;
    for write in [WRITE, "update a set v = 'lost'", "delete from a"] {
        refused(copy.batch_execute(write).await)?;
    }
    let ours = connect_url(&cluster.url(MOVER, "restored_copy")?).await?;
    ours.batch_execute("drop schema banyan cascade").await?;
    copy.batch_execute(WRITE).await?;
    let left = "select tgname from pg_trigger where tgname like 'banyan%'";
    ensure!(lines(&copy, left).await?.is_empty());
    // The original stays as it is.
    refused(pair.monolith.batch_execute(WRITE).await)
}

/// What is refused is counted though it is undone, by the owner of the function and not by
/// the application, until the fence comes down; and it goes with the extraction.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_counted_until_the_fence_comes_down() -> Result<()> {
    let (pair, claims) = switched("refusals").await?;
    let counted = async || -> Result<Vec<(Side, u64)>> {
        let all = pair.mover.seen().await?.refused;
        Ok(all.iter().map(|one| (one.side, one.statements)).collect())
    };
    let of = |monolith, service| [(Side::Monolith, monolith), (Side::Service, service)];
    ensure!(counted().await? == of(0, 0));
    for write in [WRITE, "update a set v = 'lost'", "truncate a cascade"] {
        refused(pair.monolith.batch_execute(write).await)?;
    }
    let block = format!("begin; savepoint s; {WRITE}");
    refused(pair.monolith.batch_execute(&block).await)?;
    pair.monolith.batch_execute("rollback").await?;
    ensure!(counted().await? == of(4, 0));
    let seen = pair.mover.seen().await?.refused;
    ensure!(seen[0].first_seen.starts_with("20") && seen[0].first_seen <= seen[0].last_seen);
    // The application cannot change what was counted.
    for change in [
        "select nextval('banyan.refusals_refusals')",
        "select setval('banyan.refusals_refusals', 1, false)",
    ] {
        let error = pair.monolith.batch_execute(change).await.unwrap_err();
        ensure!(error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE));
    }
    // The service owns: it has no fence that could have refused anything.
    pair.mover.unfence(&claims, Side::Service).await?;
    ensure!(counted().await? == of(4, 0));
    let back = handover_from(Side::Service, 2);
    let lock = fenced(&pair, &claims, &back).await?;
    let outcome = Outcome::Committed;
    pair.mover
        .decide(Some(lock), &claims, &back, outcome)
        .await?;
    refused(pair.service.batch_execute("delete from svc.a").await)?;
    pair.mover.open(&claims, &back).await?;
    pair.mover.unfence(&claims, Side::Monolith).await?;
    ensure!(counted().await? == of(0, 1));
    // Another extraction keeps the schema; these counters go.
    let monolith = pair.superuser(Side::Monolith).await?;
    let other = "insert into banyan.owner select 'other', owner, epoch, generation, conductor, \
        instance, nonce from banyan.owner";
    monolith.batch_execute(other).await?;
    let counters = "select relname from pg_class where relname like '%refusal%'";
    ensure!(lines(&monolith, counters).await?.len() == 3);
    pair.mover.cancel(None).await?;
    ensure!(lines(&monolith, counters).await?.is_empty());
    Ok(())
}

/// The owner has a row that the other side does not have yet: who finds nothing there must
/// not be told that nothing was to be done.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_matches_no_row_is_refused_too() -> Result<()> {
    let (pair, _) = switched("no_row").await?;
    let write = "insert into svc.a (id, v) values (9999, 'due')";
    pair.service.batch_execute(write).await?;
    let due = pair.lines(Side::Monolith, "select id from a where v = 'due'");
    ensure!(due.await?.is_empty(), "it has flowed");
    for statement in [
        "update a set v = 'done' where v = 'due'",
        "delete from a where v = 'due'",
        "insert into a (v) select v from a where v = 'due'",
    ] {
        refused(pair.monolith.batch_execute(statement).await).context(statement)?;
    }
    Ok(())
}

/// Whatever is wrong with the counters, a write is refused with the fence's own error.
#[tokio::test(flavor = "multi_thread")]
async fn a_fence_that_cannot_count_refuses_all_the_same() -> Result<()> {
    let (pair, claims) = switched("uncounted").await?;
    let monolith = pair.superuser(Side::Monolith).await?;
    for harm in [
        "alter sequence banyan.last_refusal_uncounted owner to testbed",
        "alter sequence banyan.refusals_uncounted owner to testbed; \
         revoke all on banyan.refusals_uncounted from public, banyan_mover",
        "drop sequence banyan.refusals_uncounted",
        "drop function banyan.count_refusal",
    ] {
        monolith.batch_execute(harm).await?;
        let written = pair.monolith.batch_execute(WRITE).await;
        if harm.ends_with("count_refusal") {
            ensure!(written.is_err());
        } else {
            refused(written).context(harm)?;
        }
        // Nothing waits for the count either.
        pair.mover.seen().await.context(harm)?;
        pair.mover.unfence(&claims, Side::Monolith).await?;
    }
    pair.mover.claim_row(Side::Monolith, conductor()).await?;
    let refused = pair.mover.seen().await?.refused;
    ensure!(refused.iter().any(|one| one.side == Side::Monolith));
    Ok(())
}

const WRITE: &str = "insert into a (v) values ('lost')";

/// What an earlier conductor shows passes no more, nor what nobody was given;
/// the claim of the row does, and only within its transaction.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_claim_of_the_row_passes() -> Result<()> {
    let (pair, claims) = switched("claim_passes").await?;
    let monolith = pair.superuser(Side::Monolith).await?;
    let shown = async |claim: &str| {
        let text = format!(
            "begin; select set_config('banyan.claim', '{claim}', true); \
             insert into a (v) values ('shown'); commit"
        );
        let done = monolith.batch_execute(&text).await;
        monolith.batch_execute("rollback").await?;
        anyhow::Ok(done)
    };
    for wrong in ["", "x", "/", "banyan"] {
        refused(shown(wrong).await?).context(wrong)?;
    }
    shown(&claim_text(claims.monolith)).await??;
    refused(monolith.batch_execute("delete from a").await)?;
    past_the_fence(&monolith, "claim-passes", "update a set v = 'repaired'").await?;
    refused(monolith.batch_execute("delete from a").await)?;

    let new = pair.mover.claim_row(Side::Monolith, conductor()).await?;
    let (_, new) = new.context("no row")?;
    refused(shown(&claim_text(claims.monolith)).await?)?;
    shown(&claim_text(new)).await??;
    // Of another extraction's row, and of none.
    monolith
        .batch_execute("update banyan.owner set extraction = 'other'")
        .await?;
    refused(shown(&claim_text(new)).await?)?;
    Ok(())
}

/// The schema of the first release is brought up to this one by the claim,
/// also while a dump holds its locks and a writer its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_former_schema_is_brought_up_to_date_by_the_claim() -> Result<()> {
    let (pair, _) = switched("former_schema").await?;
    let monolith = pair.superuser(Side::Monolith).await?;
    let url = clusters().await?.monolith.url(MOVER, &pair.database)?;
    let ours = connect_url(&url).await?;
    ours.batch_execute(FORMER).await?;
    ours.batch_execute(UNCOUNTED).await?;
    ours.batch_execute("insert into a (v) values ('let through')")
        .await?;
    monolith
        .batch_execute(
            "begin; lock table banyan.owner, banyan.stream, a in access share mode; \
             lock table b in row exclusive mode",
        )
        .await?;
    for _ in 0..2 {
        let claimed = pair.mover.claim_row(Side::Monolith, conductor());
        let claimed = tokio::time::timeout(LONG, claimed).await??;
        ensure!(claimed.is_some());
    }
    monolith.batch_execute("commit").await?;
    refused(ours.batch_execute("delete from a").await)?;
    let rows = lines(&pair.monolith, "select extraction from banyan.owner").await?;
    ensure!(rows == ["(former-schema)"], "{rows:?}");
    ensure!(pair.mover.seen().await?.refused[0].statements == 1);
    Ok(())
}

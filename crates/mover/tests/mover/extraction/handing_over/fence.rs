//! Whom the fence lets through: no role, only what holds the row as its claim's.

use super::{LONG, fenced, handover, prepared, refused};
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
    Ok(())
}

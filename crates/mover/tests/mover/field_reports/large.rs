//! Values of many megabytes.
//!
//! Of four, which is past the size from which they are hashed and copied in another
//! way. `BANYAN_LARGE_VALUE_MIB=550` tries others, and bounds the memory. Beyond 500 a
//! `bytea` is left out of what is followed: PostgreSQL itself cannot write its text,
//! which is twice as long and may have a gibibyte.

use crate::{life::Life, memory::peak_mib, repairs::past_the_fence};
use anyhow::{Context, Result, ensure};
use mover::verify::DifferenceKind;
use protocol::{Lsn, Side};
use tokio::sync::watch;

const SIZE_VARIABLE: &str = "BANYAN_LARGE_VALUE_MIB";

const USUAL_MIB: u64 = 4;

/// The longest `bytea` whose text is a value as well.
const MOST_BYTES_MIB: u64 = 500;

const SERVICE: &str = "
    create schema svc;
    create table svc.texts (id bigint primary key, n integer, t text);
    create table svc.raws (id bigint primary key, n integer, b bytea);
";

fn size_mib() -> Result<u64> {
    match std::env::var(SIZE_VARIABLE) {
        Ok(text) => text.parse().context(SIZE_VARIABLE),
        Err(_) => Ok(USUAL_MIB),
    }
}

/// A text, and a `bytea`, of so many mebibytes.
fn values(mib: u64) -> [String; 2] {
    let text = format!("repeat(md5('x'), {})", mib << 15);
    let bytes = format!("decode(repeat(md5('y'), {}), 'hex')", mib << 16);
    // A text of more than a gibibyte is made of two halves.
    let half = format!("decode(repeat(md5('y'), {}), 'hex')", mib << 15);
    [
        text,
        if mib < 250 {
            bytes
        } else {
            format!("{half} || {half}")
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn large() -> Result<()> {
    let mib = size_mib()?;
    let [text, bytes] = values(mib);
    let monolith = format!(
        "create table texts (id bigint primary key, n integer, t text);
         create table raws (id bigint primary key, n integer, b bytea);
         insert into texts values (1, 1, {text}), (2, 1, 'short');
         insert into raws values (1, 1, {bytes}), (2, 1, 'short')"
    );
    let before = peak_mib()?;
    let tables = ["public.texts: {}", "public.raws: {}"];
    let life = Life::begin("field_large", &monolith, SERVICE, &tables).await?;
    let copied = peak_mib()? - before;
    println!("copied: memory grew by {copied} MiB");
    agree(&life).await.context("copied")?;
    what_differs_far_inside_is_found(&life, mib).await?;

    let raw = if mib > MOST_BYTES_MIB {
        "'short'"
    } else {
        &bytes
    };
    let insert = format!(
        "insert into texts values (3, 1, {text}); insert into raws values (3, 1, {raw}); \
         update texts set n = 2; update raws set n = 2 where id <> 1 or {mib} <= {MOST_BYTES_MIB}"
    );
    life.app(Side::Monolith).batch_execute(&insert).await?;
    agree(&life).await.context("followed")?;
    let followed = peak_mib()? - before;
    println!("followed: memory grew by {followed} MiB");
    // Beside smaller ones other things take more.
    ensure!(
        mib < 64 || (copied < 5 * mib && followed < 10 * mib),
        "{mib} MiB: {copied} MiB to copy, {followed} MiB to follow"
    );
    Ok(())
}

/// Sums of their bytes, which are no sums of ours.
async fn agree(life: &Life) -> Result<u64> {
    let rows = |schema: &str| {
        format!(
            "select 1, id, n, length(t), md5(t) from {schema}.texts \
             union all select 2, id, n, length(b), md5(b) from {schema}.raws order by 1, 2"
        )
    };
    life.same(Side::Monolith, &rows("public"), &rows("svc"))
        .await?;
    life.verified(Side::Monolith).await
}

async fn what_differs_far_inside_is_found(life: &Life, mib: u64) -> Result<()> {
    let service = life.pair.superuser(Side::Service).await?;
    let byte = mib << 19;
    let spoil = format!(
        "update svc.texts set t = overlay(t placing '!' from {byte}) where id = 1; \
         update svc.raws set b = set_byte(b, {byte}, get_byte(b, {byte}) # 1) where id = 1"
    );
    past_the_fence(&service, "field-large", &spoil).await?;
    let applied = watch::channel(Lsn(u64::MAX)).1;
    let progress = watch::Sender::default();
    let report = life
        .pair
        .mover
        .verify(Side::Monolith, applied, &progress)
        .await?;
    let kinds: Vec<_> = report.differences.iter().map(|one| one.kind).collect();
    ensure!(kinds == [DifferenceKind::Changed; 2], "{report:?}");
    let repair = format!(
        "update svc.texts set t = overlay(t placing substr(md5('x'), 32) from {byte}) where id = 1; \
         update svc.raws set b = set_byte(b, {byte}, get_byte(b, {byte}) # 1) where id = 1"
    );
    past_the_fence(&service, "field-large", &repair).await?;
    Ok(())
}

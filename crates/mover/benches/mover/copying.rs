//! A first copy, with its indexes: the target begins without a table.

use crate::{
    figures::Figures,
    ground::{Ground, TABLES},
    memory,
    peers::PEERS,
    plans::{conductor, mover_into},
};
use anyhow::{Context, Result, ensure};
use mover::Mover;
use protocol::InstanceId;
use std::{process::Command, time::Instant};
use tokio::sync::watch;
use uuid::Uuid;

const SECONDS: &str = "copy_s";
/// Ours alone, of the machine's processors.
const PROCESSOR: &str = "copy_processor_s";
const ROWS_AT_100_PERCENT: i64 = 11_001_100;
const INDEXES: i64 = 6;

/// Every method has its turn in each round.
pub(crate) async fn measure(rounds: u32, percent: u32, figures: &mut Figures) -> Result<()> {
    figures.tell("making the data");
    let ground = Ground::new(percent).await?;
    for _ in 0..rounds {
        for peer in PEERS {
            if !is_there(peer.program) {
                figures.tell(&format!(
                    "{} is not measured: it is not installed",
                    peer.name
                ));
                continue;
            }
            ground.clear().await?;
            let began = Instant::now();
            ground.shell(peer.script)?;
            figures.add(SECONDS, peer.name, began.elapsed().as_secs_f64());
            all_is_there(&ground, percent).await?;
        }
        ground.clear().await?;
        let processor = processor_seconds()?;
        let began = Instant::now();
        let (mover, instance) = ours(&ground).await?;
        figures.add(SECONDS, "banyan", began.elapsed().as_secs_f64());
        figures.add(PROCESSOR, "banyan", processor_seconds()? - processor);
        all_is_there(&ground, percent).await?;
        // Its slots would keep the database.
        mover.cancel(Some(instance)).await?;
    }
    figures.add(
        "peak_rss_mib",
        "banyan",
        u32::try_from(memory::peak_mib()?)?.into(),
    );
    Ok(())
}

/// As a service begins: its own schema first, then the mover.
async fn ours(ground: &Ground) -> Result<(Mover, InstanceId)> {
    ground.shell("pg_dump -s \"$SOURCE\" | psql -qX \"$TARGET\" >/dev/null")?;
    let mover = mover(ground)?;
    let instance = InstanceId(Uuid::new_v4());
    let claims = mover.prepare(instance, conductor()).await?;
    mover.copy(&claims, &watch::Sender::default()).await?;
    Ok((mover, instance))
}

fn mover(ground: &Ground) -> Result<Mover> {
    let tables = TABLES.map(|table| format!("public.{table}: {{}}"));
    let tables = tables.each_ref().map(String::as_str);
    let urls = (&*ground.source_url()?, &*ground.target_url()?);
    mover_into("public", "bench", urls, &tables)
}

async fn all_is_there(ground: &Ground, percent: u32) -> Result<()> {
    let target = ground.target.superuser("data").await?;
    let mut rows = 0;
    for table in TABLES {
        let count = format!("select count(*) from {table}");
        rows += target.query_one(&count, &[]).await?.get::<_, i64>(0);
    }
    let indexes = "select count(*) from pg_indexes where schemaname = 'public'";
    let indexes: i64 = target.query_one(indexes, &[]).await?.get(0);
    let expected = ROWS_AT_100_PERCENT * i64::from(percent) / 100;
    ensure!(rows == expected, "{rows} rows instead of {expected}");
    ensure!(indexes == INDEXES, "{indexes} indexes");
    Ok(())
}

fn is_there(program: &str) -> bool {
    let found = Command::new("which").arg(program).output();
    found.is_ok_and(|found| found.status.success())
}

/// Of this process, user and system.
fn processor_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // utime and stime: fields 14 and 15 of proc(5), after a name in brackets.
    let (_, fields) = stat.rsplit_once(')').context("/proc/self/stat")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks: u32 = [11, 12]
        .iter()
        .filter_map(|at| fields.get(*at)?.parse::<u32>().ok())
        .sum();
    Ok(f64::from(ticks) / 100.0)
}

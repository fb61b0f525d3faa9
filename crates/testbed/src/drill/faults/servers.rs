//! Servers that are not what they were.

use super::super::ground::{Ground, LIMIT, MONOLITH, run};
use crate::deadline;
use crate::scene::{CONTRACTS_ROLE, MONOLITH_ROLE};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The side that does not own the data comes back as it was some writes ago.
pub(super) async fn other_side_restored(ground: &mut Ground, side: &str) -> Result<()> {
    if side == MONOLITH {
        // Of what does not move it is the owner.
        shut_out(ground, side).await?;
    }
    let backup = backed_up(ground, side).await?;
    let applied = |rows: u64| {
        let ground = &*ground;
        async move {
            let now = ground.status().await?;
            let into = if side == MONOLITH {
                now.reverse
            } else {
                now.forward
            };
            let stream = into.context("no stream")?;
            Ok((stream.trouble.is_none() && stream.rows > rows).then_some(stream.rows))
        }
    };
    let before = deadline::until("the stream to go on", LIMIT, || applied(0)).await?;
    deadline::until("rows after the backup", LIMIT, || applied(before)).await?;
    restored(ground, side, &backup).await
}

/// The owner comes back from a backup. Only a row that no client was told of is lost.
pub(super) async fn owner_restored(ground: &mut Ground, side: &str) -> Result<()> {
    let (table, name) = if side == MONOLITH {
        ("contracts_tag", "name")
    } else {
        ("contract_service.tags", "label")
    };
    shut_out(ground, side).await?;
    let backup = backed_up(ground, side).await?;
    let superuser = ground.superuser(side).await?;
    let lost = format!("insert into {table} ({name}) values ('drill lost')");
    run(&superuser, &lost).await?;
    drop(superuser);
    ground.healthy("before the restoring").await?;
    restored(ground, side, &backup).await
}

/// The role of a side's application.
fn application(side: &str) -> &'static str {
    if side == MONOLITH {
        MONOLITH_ROLE
    } else {
        CONTRACTS_ROLE
    }
}

/// What an application writes after a backup is lost with the restore, with any tool:
/// it is kept out from before the backup on.
async fn shut_out(ground: &Ground, side: &str) -> Result<()> {
    let role = application(side);
    let superuser = ground.superuser(side).await?;
    run(&superuser, &format!("alter role {role} nologin")).await?;
    let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = $1";
    deadline::until("the application to be out", LIMIT, async || {
        let ended: i64 = superuser.query_one(end, &[&role]).await?.get(0);
        Ok((ended == 0).then_some(()))
    })
    .await
}

async fn backed_up(ground: &mut Ground, side: &str) -> Result<PathBuf> {
    let backup = ground.scene.directory().path().join("backup");
    ground.cluster_mut(side).back_up(&backup).await?;
    Ok(backup)
}

/// Restores it, and lets the application in again.
async fn restored(ground: &mut Ground, side: &str, backup: &Path) -> Result<()> {
    ground.cluster_mut(side).restore(backup, false).await?;
    fs::remove_dir_all(backup)?;
    let superuser = ground.superuser(side).await?;
    let role = application(side);
    run(&superuser, &format!("alter role {role} login")).await?;
    ground.seen_to_fail().await
}

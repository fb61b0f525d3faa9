//! Servers that are not what they were.

use super::super::ground::{Ground, LIMIT, MONOLITH, run};
use crate::deadline;
use crate::scene::{CONTRACTS_ROLE, MONOLITH_ROLE};
use anyhow::{Context, Result};
use std::fs;

/// The side that does not own the data comes back as it was some writes ago.
pub(super) async fn other_side_restored(ground: &mut Ground, side: &str) -> Result<()> {
    let backup = ground.scene.directory().path().join("backup");
    ground.cluster_mut(side).back_up(&backup).await?;
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
    ground.cluster_mut(side).restore(&backup, false).await?;
    fs::remove_dir_all(&backup)?;
    ground.seen_to_fail().await
}

/// The owner comes back from a backup. What clients wrote since would be lost with
/// any tool: so they are kept out from before the backup on, and only a row that no
/// client was told of is.
pub(super) async fn owner_restored(ground: &mut Ground, side: &str) -> Result<()> {
    let (role, table, name) = if side == MONOLITH {
        (MONOLITH_ROLE, "contracts_tag", "name")
    } else {
        (CONTRACTS_ROLE, "contract_service.tags", "label")
    };
    let backup = ground.scene.directory().path().join("backup");
    let superuser = ground.superuser(side).await?;
    run(&superuser, &format!("alter role {role} nologin")).await?;
    let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = $1";
    deadline::until("the application to be out", LIMIT, async || {
        let ended: i64 = superuser.query_one(end, &[&role]).await?.get(0);
        Ok((ended == 0).then_some(()))
    })
    .await?;
    drop(superuser);
    ground.cluster_mut(side).back_up(&backup).await?;
    let superuser = ground.superuser(side).await?;
    let lost = format!("insert into {table} ({name}) values ('drill lost')");
    run(&superuser, &lost).await?;
    drop(superuser);
    ground.healthy("before the restoring").await?;
    ground.cluster_mut(side).restore(&backup, false).await?;
    fs::remove_dir_all(&backup)?;
    let superuser = ground.superuser(side).await?;
    run(&superuser, &format!("alter role {role} login")).await?;
    ground.seen_to_fail().await
}

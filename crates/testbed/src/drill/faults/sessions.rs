//! Somebody ends sessions of ours.

use super::super::ground::{Ground, LIMIT};
use crate::deadline;
use crate::scene::MOVER_ROLE;
use anyhow::{Result, ensure};

/// So many are ended on each side, at least.
const ENOUGH: i64 = 8;

const END: &str =
    "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = $1";

/// All that there are on both sides; and again those that come then.
pub(super) async fn ended(ground: &mut Ground) -> Result<()> {
    let (monolith, service) = ground.scene.superusers().await?;
    for client in [&monolith, &service] {
        let mut ended = 0;
        deadline::until("sessions to be ended", LIMIT, async || {
            ended += client
                .query_one(END, &[&MOVER_ROLE])
                .await?
                .get::<_, i64>(0);
            Ok((ended >= ENOUGH).then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// Again and again until a hand-over has ended, one way or the other.
pub(super) async fn ended_during_a_hand_over(ground: &mut Ground, to: &str) -> Result<()> {
    let (monolith, service) = ground.scene.superusers().await?;
    let (asked, blocker) = ground.caught_handing_over(to).await?;
    let mut ended = 0;
    for client in [&monolith, &service] {
        ended += client
            .query_one(END, &[&MOVER_ROLE])
            .await?
            .get::<_, i64>(0);
    }
    drop(blocker);
    let asked = asked.await??;
    ensure!(ended > 0, "there was no session to end");
    ground.healthy("after the end of the sessions").await?;
    let owner = ground.status().await?.owner;
    ensure!(
        asked.code != 0 || owner == to,
        "it said that it went through, and the {owner} owns: {}",
        asked.stdout
    );
    ground.own(to).await
}

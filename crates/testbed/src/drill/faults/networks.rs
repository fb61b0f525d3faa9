//! Networks that swallow everything: nothing is answered, and nothing ends.

use super::super::ground::{Ground, LIMIT};
use crate::deadline;
use anyhow::{Result, ensure};

/// Nothing passes to or from a side's database until that is seen.
pub(super) async fn silent(ground: &mut Ground, side: &str) -> Result<()> {
    ground.network(side).vanish();
    let seen = ground.seen_in_trouble().await;
    ground.network(side).come_back();
    seen
}

/// It is so already when a hand-over is asked for: that must be refused, and soon.
pub(super) async fn silent_at_a_hand_over(ground: &mut Ground, side: &str, to: &str) -> Result<()> {
    ground.network(side).vanish();
    let asked = ground.begin(to).await;
    ground.network(side).come_back();
    let asked = asked??;
    ensure!(asked.code != 0, "it went through: {}", asked.stdout);
    ground.healthy("after the silence").await?;
    ground.own(to).await
}

/// It begins while clients are held and the lock is waited for. Where it is the owner
/// that is silent, nobody can say what comes of the hand-over before it answers: until
/// then `status` says that.
pub(super) async fn silent_during_a_hand_over(
    ground: &mut Ground,
    side: &str,
    to: &str,
) -> Result<()> {
    let (asked, blocker) = ground.caught_handing_over(to).await?;
    ground.network(side).vanish();
    drop(blocker);
    let seen = deadline::until("the silence to be told of", LIMIT, async || {
        let told = ground.status().await?.trouble.is_some();
        Ok((told || asked.is_finished()).then_some(()))
    })
    .await;
    ground.network(side).come_back();
    seen?;
    let asked = asked.await??;
    ground.healthy("after the silence").await?;
    let owner = ground.status().await?.owner;
    ensure!(
        asked.code != 0 || owner == to,
        "it said that it went through, and the {owner} owns: {}",
        asked.stdout
    );
    ground.own(to).await
}

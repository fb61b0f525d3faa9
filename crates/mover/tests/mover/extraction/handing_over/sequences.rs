//! Sequences: where the new owner's start.

use super::{fenced, handover, prepared};
use crate::extraction::databases::Pair;
use anyhow::{Result, ensure};
use mover::Claims;
use protocol::owner::Outcome;

/// Hands over, and returns the first id that the service gives out.
async fn first_id_at_the_service(pair: &Pair, claims: &Claims) -> Result<i64> {
    let lock = fenced(pair, claims, &handover(1)).await?;
    pair.mover.advance_sequences(claims, &handover(1)).await?;
    pair.mover
        .decide(Some(lock), claims, &handover(1), Outcome::Committed)
        .await?;
    pair.mover.open(claims, &handover(1)).await?;
    let new = "insert into svc.a (v) values ('n') returning id";
    Ok(pair.service.query_one(new, &[]).await?.get(0))
}

/// The new owner's sequences start past the old owner's by the block.
#[tokio::test(flavor = "multi_thread")]
async fn sequences_move_past_the_old_owners() -> Result<()> {
    let (pair, claims) = prepared("sequences").await?;
    let id = first_id_at_the_service(&pair, &claims).await?;
    ensure!(id == 50 + 1000 + 1, "{id}");
    Ok(())
}

/// Also where the old owner's was set and not used since.
#[tokio::test(flavor = "multi_thread")]
async fn sequences_that_were_only_set_move_too() -> Result<()> {
    let (pair, claims) = prepared("sequences_set").await?;
    pair.monolith
        .batch_execute("alter table a alter id restart with 5000")
        .await?;
    let id = first_id_at_the_service(&pair, &claims).await?;
    ensure!(id == 4999 + 1000 + 1, "{id}");
    Ok(())
}

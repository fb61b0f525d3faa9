//! The effect that a hand-over's stage asks for, and how it is begun.

use super::context::Context;
use crate::{
    journal::now_ms,
    ports::{Mover, WorkError},
};
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use plan::ExtractionName;
use protocol::{
    GatewayId, HandoverId, Side,
    handover::{Effect, Handover, Input},
    lifecycle::{Owned, Verified},
    owner::Outcome,
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// How long a proof that both sides agree is good for a switch: ten minutes.
const FRESH_MS: i64 = 600_000;

/// An effect of a hand-over, and whose.
#[derive(Debug, Clone)]
pub(super) struct DueEffect {
    effect: Effect,
    id: HandoverId,
    remaining: Duration,
    /// Whether both sides were proven to agree lately.
    agreed: bool,
    /// Whether a rollback asks for a proof of what has changed since.
    proven: bool,
}

/// The time that is left passes; the effect stays the same.
impl PartialEq for DueEffect {
    fn eq(&self, other: &Self) -> bool {
        self.effect == other.effect && self.id == other.id
    }
}

impl Eq for DueEffect {}

impl DueEffect {
    /// What a hand-over's stage asks for.
    pub(super) fn of(
        before: &Owned,
        handover: &Handover,
        remaining: Duration,
        proven: bool,
    ) -> Self {
        let Handover {
            epoch, from, nonce, ..
        } = *handover;
        let agreed = match before.verified {
            Verified::Agreed(at) => now_ms() - i64::try_from(at).unwrap_or(i64::MAX) < FRESH_MS,
            Verified::Never | Verified::Differed => false,
        };
        Self {
            effect: handover.due(),
            id: HandoverId {
                instance: before.instance,
                epoch,
                from,
                nonce,
            },
            remaining,
            agreed,
            proven,
        }
    }

    /// Its name, for the log.
    pub(super) fn name(&self) -> &'static str {
        match self.effect {
            Effect::CheckReady => "check-ready",
            Effect::LockWeakly => "lock",
            Effect::Hold { .. } => "hold",
            Effect::Fence => "fence",
            Effect::CatchUp => "catch-up",
            Effect::Decide(Outcome::Committed) => "commit",
            Effect::Decide(Outcome::Aborted) => "abort",
            Effect::Open => "open",
        }
    }

    /// Whether it waits for gateways, and for no database.
    pub(super) fn asks_gateways(&self) -> bool {
        matches!(self.effect, Effect::Hold { .. })
    }

    /// Begins it; what comes of it is the hand-over's next input.
    pub(super) fn begin(self, context: &Context) -> BoxFuture<'static, Result<Input, WorkError>> {
        let mover = Arc::clone(&context.mover);
        let Self {
            effect,
            id,
            remaining,
            agreed,
            proven,
        } = self;
        let name = context.extraction.name.clone();
        match effect {
            Effect::CheckReady => match id.from {
                Side::Monolith => Box::pin(async move { ready(&*mover, agreed).await }),
                Side::Service => {
                    Box::pin(async move { ready_for_return(&*mover, &name, proven).await })
                }
            },
            Effect::LockWeakly => Box::pin(async move {
                mover.lock_weakly(id.from).await?;
                // The loop fills in clock and gateways.
                let (now, hold, gateways) = Default::default();
                Ok(Input::Locked {
                    now,
                    hold,
                    gateways,
                })
            }),
            Effect::Hold { missing } => hold(context, &id, missing),
            Effect::Fence => {
                Box::pin(async move { mover.fence(&id, remaining).await.map(|()| Input::Fenced) })
            }
            Effect::CatchUp => Box::pin(async move {
                mover
                    .catch_up(&id, remaining)
                    .await
                    .map(|()| Input::CaughtUp)
            }),
            Effect::Decide(wanted) => {
                Box::pin(async move { mover.decide(&id, wanted).await.map(Input::Decided) })
            }
            Effect::Open => Box::pin(async move { mover.open(&id).await.map(|()| Input::Opened) }),
        }
    }
}

/// A switch: nothing in the way, and both sides proven to agree.
async fn ready(mover: &dyn Mover, agreed: bool) -> Result<Input, WorkError> {
    unblocked(mover, Side::Monolith).await?;
    if !agreed || !mover.unproven().await?.is_empty() {
        let verification = mover.verify(Side::Monolith).await?;
        if verification.differences > 0 {
            let count = verification.differences;
            let text = format!("{count} rows differ between the sides: see `banyan verify`");
            return Err(WorkError::Permanent(text));
        }
        let unproven = mover.unproven().await?;
        if !unproven.is_empty() {
            return Err(WorkError::Permanent(unproven.join("; ")));
        }
    }
    Ok(Input::Ready)
}

/// A rollback does not wait for a proof: who goes back at night has no time for
/// it, and the old owner has been following all the while. But what nobody could
/// follow is proven first, or knowingly left.
async fn ready_for_return(
    mover: &dyn Mover,
    name: &ExtractionName,
    proven: bool,
) -> Result<Input, WorkError> {
    unblocked(mover, Side::Service).await?;
    if proven {
        let unproven = mover.unproven().await?;
        if !unproven.is_empty() {
            let text = format!(
                "{}. Without the time for that: `banyan rollback {name} --unverified`",
                unproven.join("; ")
            );
            return Err(WorkError::Permanent(text));
        }
    }
    Ok(Input::Ready)
}

async fn unblocked(mover: &dyn Mover, from: Side) -> Result<(), WorkError> {
    let blockers = mover.blockers(from).await?;
    if blockers.is_empty() {
        return Ok(());
    }
    Err(WorkError::Permanent(blockers.join("; ")))
}

/// Ends with the first of the missing gateways that holds and has drained;
/// then the state misses one fewer, and the rest is asked again.
fn hold(
    context: &Context,
    id: &HandoverId,
    missing: BTreeSet<GatewayId>,
) -> BoxFuture<'static, Result<Input, WorkError>> {
    let gateways = Arc::clone(context.publisher.gateways());
    let name = context.extraction.name.clone();
    let epoch = context.publisher.epoch(&name, id.epoch);
    Box::pin(async move {
        let mut waiting: FuturesUnordered<_> = missing
            .into_iter()
            .map(|gateway| {
                let (gateways, name) = (&gateways, &name);
                async move {
                    gateways.held(gateway, name, epoch).await;
                    gateway
                }
            })
            .collect();
        match waiting.next().await {
            Some(gateway) => Ok(Input::Held(gateway)),
            None => Err(WorkError::Permanent("no gateway is alive".to_owned())),
        }
    })
}

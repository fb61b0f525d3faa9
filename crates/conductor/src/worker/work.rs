//! The pieces of work that a state asks for, and how each is begun.

use super::Shared;
use crate::{
    journal::now_ms,
    ports::{HoldReport, Mover, Rows, Trouble, Verification},
};
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use protocol::{
    GatewayId, HandoverId, InstanceId, Side,
    finding::Finding,
    handover::{Effect, Handover, Input},
    lifecycle::{Owned, Verified},
    owner::Outcome,
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// How long a proof that both sides agree is good for a switch: ten minutes.
const FRESH_MS: i64 = 600_000;

/// Work that is due. Two are the same work when they are equal: what is
/// running then goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    /// Claim the rows.
    Recover,
    /// Look whether it can be moved.
    Check,
    Prepare(InstanceId),
    Copy,
    Follow,
    Cancel,
    Verify(Side),
    Unfence(Side),
    /// Ask the gateways how long they held.
    Report,
    Effect(Due),
}

/// An effect of a hand-over, and whose.
#[derive(Debug, Clone)]
pub(super) struct Due {
    effect: Effect,
    id: HandoverId,
    remaining: Duration,
    /// Whether both sides were proven to agree lately.
    agreed: bool,
}

/// The time that is left passes; the effect stays the same.
impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.effect == other.effect && self.id == other.id
    }
}

impl Eq for Due {}

/// What work led to.
pub(super) enum Done {
    Recovered(Rows),
    Checked(Vec<Finding>),
    Prepared,
    Copied,
    Following,
    Cancelled,
    Verified(Verification),
    Unfenced(Side),
    Reported(HoldReport),
    Effect(Input),
}

/// What a hand-over's stage asks for.
pub(super) fn effect(before: &Owned, handover: &Handover, remaining: Duration) -> Due {
    let Handover {
        epoch, from, nonce, ..
    } = *handover;
    let id = HandoverId {
        instance: before.instance,
        epoch,
        from,
        nonce,
    };
    let agreed = match before.verified {
        Verified::Agreed(at) => now_ms() - i64::try_from(at).unwrap_or(i64::MAX) < FRESH_MS,
        Verified::Never | Verified::Differed => false,
    };
    Due {
        effect: handover.due(),
        id,
        remaining,
        agreed,
    }
}

impl Work {
    /// Its name, for the log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Recover => "recover",
            Self::Check => "check",
            Self::Prepare(_) => "prepare",
            Self::Copy => "copy",
            Self::Follow => "follow",
            Self::Cancel => "cancel",
            Self::Verify(_) => "verify",
            Self::Unfence(_) => "unfence",
            Self::Report => "report",
            Self::Effect(due) => match due.effect {
                Effect::CheckReady => "check-ready",
                Effect::LockWeakly => "lock",
                Effect::Hold { .. } => "hold",
                Effect::Fence => "fence",
                Effect::CatchUp => "catch-up",
                Effect::Decide(Outcome::Committed) => "commit",
                Effect::Decide(Outcome::Aborted) => "abort",
                Effect::Open => "open",
            },
        }
    }

    /// Begins it.
    pub(super) fn begin(&self, shared: &Shared) -> BoxFuture<'static, Result<Done, Trouble>> {
        let mover = Arc::clone(&shared.mover);
        let conductor = shared.conductor;
        match self.clone() {
            Self::Recover => {
                Box::pin(async move { mover.claim(conductor).await.map(Done::Recovered) })
            }
            Self::Check => Box::pin(async move { mover.check().await.map(Done::Checked) }),
            Self::Prepare(instance) => Box::pin(async move {
                mover
                    .prepare(instance, conductor)
                    .await
                    .map(|()| Done::Prepared)
            }),
            Self::Copy => Box::pin(async move { mover.copy().await.map(|()| Done::Copied) }),
            Self::Follow => Box::pin(async move { mover.follow().await.map(|()| Done::Following) }),
            Self::Cancel => Box::pin(async move {
                mover.stop_following().await;
                mover.cancel().await.map(|()| Done::Cancelled)
            }),
            Self::Verify(owner) => {
                Box::pin(async move { mover.verify(owner).await.map(Done::Verified) })
            }
            Self::Unfence(side) => {
                Box::pin(async move { mover.unfence(side).await.map(|()| Done::Unfenced(side)) })
            }
            Self::Report => {
                let gateways = Arc::clone(shared.publisher.gateways());
                let name = shared.extraction.name.clone();
                Box::pin(async move { Ok(Done::Reported(gateways.hold_report(&name).await)) })
            }
            Self::Effect(due) => due.begin(shared),
        }
    }
}

impl Due {
    fn begin(self, shared: &Shared) -> BoxFuture<'static, Result<Done, Trouble>> {
        let mover = Arc::clone(&shared.mover);
        let Self {
            effect,
            id,
            remaining,
            agreed,
        } = self;
        match effect {
            Effect::CheckReady => Box::pin(async move { ready(&*mover, id.from, agreed).await }),
            Effect::LockWeakly => Box::pin(async move {
                mover.lock_weakly(id.from).await?;
                // The loop fills in clock and gateways.
                let (now, hold, gateways) = Default::default();
                Ok(Done::Effect(Input::Locked {
                    now,
                    hold,
                    gateways,
                }))
            }),
            Effect::Hold { missing } => hold(shared, &id, missing),
            Effect::Fence => Box::pin(async move {
                mover
                    .fence(&id, remaining)
                    .await
                    .map(|()| Done::Effect(Input::Fenced))
            }),
            Effect::CatchUp => Box::pin(async move {
                mover
                    .catch_up(&id, remaining)
                    .await
                    .map(|()| Done::Effect(Input::CaughtUp))
            }),
            Effect::Decide(wanted) => Box::pin(async move {
                let outcome = mover.decide(&id, wanted).await?;
                Ok(Done::Effect(Input::Decided(outcome)))
            }),
            Effect::Open => {
                Box::pin(async move { mover.open(&id).await.map(|()| Done::Effect(Input::Opened)) })
            }
        }
    }
}

/// Nothing in the way, and both sides proven to agree. A rollback does not
/// wait for the proof: who goes back at night has no time for it, and the old
/// owner has been following all the while.
async fn ready(mover: &dyn Mover, from: Side, agreed: bool) -> Result<Done, Trouble> {
    let blockers = mover.blockers(from).await?;
    if !blockers.is_empty() {
        return Err(Trouble::Lasting(blockers.join("; ")));
    }
    if from == Side::Monolith && !agreed {
        let verification = mover.verify(from).await?;
        if verification.differences > 0 {
            let count = verification.differences;
            let text = format!("{count} rows differ between the sides: see `banyan verify`");
            return Err(Trouble::Lasting(text));
        }
    }
    Ok(Done::Effect(Input::Ready))
}

/// Ends with the first of the missing gateways that holds and has drained;
/// then the state misses one fewer, and the rest is asked again.
fn hold(
    shared: &Shared,
    id: &HandoverId,
    missing: BTreeSet<GatewayId>,
) -> BoxFuture<'static, Result<Done, Trouble>> {
    let gateways = Arc::clone(shared.publisher.gateways());
    let name = shared.extraction.name.clone();
    let epoch = shared.publisher.epoch(&name, id.epoch);
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
            Some(gateway) => Ok(Done::Effect(Input::Held(gateway))),
            None => Err(Trouble::Lasting("no gateway is alive".to_owned())),
        }
    })
}

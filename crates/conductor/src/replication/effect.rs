//! The effect that a hand-over's stage asks for, and how it is begun.

use super::{budget::Budget, context::Context, drain, effect_result::EffectResult};
use crate::{
    journal::now_ms,
    ports::{Gateways, Mover, WaitedFor, Wanted, WorkError},
    request::Waived,
};
use futures_util::future::BoxFuture;
use plan::ExtractionName;
use protocol::{
    HandoverId, Side,
    handover::{Effect, Input},
    lifecycle::{Owned, UnderWay, Verified},
    owner::Outcome,
};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long a proof that both sides agree is good for a switch: ten minutes.
const FRESH_MS: i64 = 600_000;

/// How long a hand-over waits for an earlier process before anything is held: for longer than
/// one that only waits for idle clients to leave needs. How often it looks.
const PREDECESSOR_WAIT: Duration = Duration::from_secs(10);
const PREDECESSOR_LOOK: Duration = Duration::from_millis(100);

/// An effect of a hand-over, and whose.
#[derive(Debug, Clone)]
pub(super) struct DueEffect {
    effect: Effect,
    id: HandoverId,
    remaining: Duration,
    /// Whether both sides were proven to agree lately.
    agreed: bool,
    /// What a rollback does without.
    waived: Waived,
    /// Whether it is looked who is waited for.
    watches: bool,
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
        handover: &UnderWay,
        remaining: Duration,
        waived: Waived,
    ) -> Self {
        let agreed = match before.verified {
            Verified::Agreed(at) => now_ms() - i64::try_from(at).unwrap_or(i64::MAX) < FRESH_MS,
            Verified::Never | Verified::Differed => false,
        };
        Self {
            effect: handover.due(),
            id: HandoverId {
                instance: before.instance,
                epoch: handover.epoch(),
                from: handover.from(),
                nonce: handover.nonce(),
            },
            remaining,
            agreed,
            waived,
            watches: handover.is_rehearsal(),
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
    pub(super) fn begin(
        self,
        context: &Context,
    ) -> BoxFuture<'static, Result<EffectResult, WorkError>> {
        let mover = Arc::clone(&context.mover);
        let Self {
            effect,
            id,
            remaining,
            agreed,
            waived,
            watches,
        } = self;
        let budget = Budget::of(context, remaining);
        let name = context.extraction.name.clone();
        match effect {
            Effect::CheckReady => {
                let gateways = Arc::clone(context.publisher.gateways());
                Box::pin(async move {
                    alone(&*gateways, PREDECESSOR_WAIT).await?;
                    let ready = match id.from {
                        Side::Monolith => ready(&*mover, agreed).await,
                        Side::Service => ready_for_return(&*mover, &name, waived).await,
                    };
                    ready.map(EffectResult::from)
                })
            }
            Effect::LockWeakly => Box::pin(async move {
                mover.lock_weakly(id.from).await?;
                // The loop fills in clock and gateways.
                let (now, hold, gateways) = Default::default();
                let locked = Input::Locked {
                    now,
                    hold,
                    gateways,
                };
                Ok(locked.into())
            }),
            Effect::Hold { missing } => drain::begin(context, &id, missing, budget, watches),
            Effect::Fence => Box::pin(async move {
                let waited_for = WaitedFor::default();
                let noting = async {
                    if watches {
                        mover.note_waited_for(id.from, &waited_for).await;
                    }
                    std::future::pending::<Infallible>().await
                };
                let fenced = tokio::select! {
                    fenced = mover.fence(&id, budget.left) => fenced,
                    never = noting => match never {},
                };
                fenced.map_err(|error| budget.told(error, "the drain"))?;
                Ok(EffectResult {
                    input: Input::Fenced,
                    waited_for: waited_for.into_all(),
                })
            }),
            Effect::CatchUp => Box::pin(async move {
                let caught_up = mover.catch_up(&id, budget.left).await;
                let before = "drain and fence";
                caught_up
                    .map(|()| Input::CaughtUp.into())
                    .map_err(|error| budget.told(error, before))
            }),
            Effect::Decide(wanted) => {
                Box::pin(async move { Ok(Input::Decided(mover.decide(&id, wanted).await?).into()) })
            }
            Effect::Open => {
                Box::pin(async move { mover.open(&id).await.map(|()| Input::Opened.into()) })
            }
        }
    }
}

/// No earlier process routes any more: it never hears of a hold, so what is held for a
/// hand-over would wait for its end.
async fn alone(gateways: &dyn Gateways, wait: Duration) -> Result<(), WorkError> {
    let until = Instant::now() + wait;
    loop {
        let predecessors = gateways.predecessors();
        if predecessors.is_empty() {
            return Ok(());
        }
        if Instant::now() >= until {
            let texts: Vec<_> = predecessors.iter().map(ToString::to_string).collect();
            return Err(WorkError::Permanent(texts.join("; ")));
        }
        tokio::time::sleep(PREDECESSOR_LOOK).await;
    }
}

/// A switch: nothing in the way, and both sides proven to agree.
async fn ready(mover: &dyn Mover, agreed: bool) -> Result<Input, WorkError> {
    ready_without(&mover.blockers(Side::Monolith, Wanted::Health).await?)?;
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
    waived: Waived,
) -> Result<Input, WorkError> {
    let wanted = if waived.health {
        Wanted::Presence
    } else {
        Wanted::Health
    };
    let unproven = async {
        if waived.proof {
            Ok(Vec::new())
        } else {
            mover.unproven().await
        }
    };
    // Together: who mends one reason is not to be told of the next only then.
    let (mut reasons, mut unproven) =
        futures_util::try_join!(mover.blockers(Side::Service, wanted), unproven)?;
    if reasons.is_empty() && unproven.is_empty() && !waived.proof {
        // That took its time, in which a table may have been rewritten.
        unproven = mover.unproven().await?;
    }
    if !unproven.is_empty() {
        reasons.push(format!(
            "{}. Without the time for that: `banyan rollback {name} --unverified`",
            unproven.join("; ")
        ));
    }
    ready_without(&reasons)
}

fn ready_without(reasons: &[String]) -> Result<Input, WorkError> {
    if reasons.is_empty() {
        return Ok(Input::Ready);
    }
    Err(WorkError::Permanent(reasons.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{HoldReport, InFlight, Predecessor};
    use async_trait::async_trait;
    use protocol::{Epoch, GatewayId, routing::Routing};
    use std::collections::BTreeSet;

    /// Behind processes that answer requests until then.
    struct Followers(Option<Instant>);

    #[async_trait]
    impl Gateways for Followers {
        fn live(&self) -> BTreeSet<GatewayId> {
            BTreeSet::new()
        }

        fn predecessors(&self) -> Vec<Predecessor> {
            let lasts = self.0.is_none_or(|until| Instant::now() < until);
            let predecessor = Predecessor {
                pid: 7,
                requests: 3,
                streams: 0,
                seconds_left: Some(42),
            };
            lasts.then_some(predecessor).into_iter().collect()
        }

        fn publish(&self, _: Routing) {}

        fn renew_lease(&self, _: Duration) {}

        async fn held(&self, _: GatewayId, _: &ExtractionName, _: Epoch) {}

        async fn in_flight(&self, _: GatewayId, _: &ExtractionName) -> Option<InFlight> {
            None
        }

        async fn hold_report(&self, _: &ExtractionName) -> HoldReport {
            HoldReport::default()
        }
    }

    #[tokio::test]
    async fn a_hand_over_waits_for_an_earlier_process_but_not_for_long() {
        let short = Followers(Some(Instant::now() + PREDECESSOR_LOOK));
        assert_eq!(alone(&short, Duration::from_mins(1)).await, Ok(()));
        let refused = alone(&Followers(None), Duration::ZERO).await;
        let Err(WorkError::Permanent(text)) = refused else {
            panic!("not refused");
        };
        for word in ["pid 7", "3 requests", "42 s", "gateway.grace", "SIGTERM"] {
            assert!(text.contains(word), "{text}");
        }
    }
}

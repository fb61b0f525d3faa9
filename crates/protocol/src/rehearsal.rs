//! A rehearsal: a hand-over up to its commit point, which is then undone as planned.
//!
//! It takes the real locks, the real hold and the real fence, so it shows what a switch
//! would cost. That it commits nothing is a matter of its type: all that it ever has
//! carried out is an [`Undoable`], and a commit and an opening are none. Where it stops for
//! another reason (a failure, a deadline, a restart) it is undone like any hand-over.
//!
//! ```text
//!  begin ─▶ Readying ─▶ Locking ─▶ Holding ─▶ Fencing ─▶ CatchingUp ─▶ Undoing ─▶ aborted
//! ```

use crate::{
    Epoch, GatewayId, Millis, Nonce, Side,
    handover::{Effect, Handover, Input, Stage, Step, Transition},
    owner::Outcome,
};
use std::collections::BTreeSet;

/// Why one that has got as far as the commit point is undone.
const AS_PLANNED: &str = "it was a rehearsal";

/// A rehearsal under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rehearsal {
    /// Never in [`Stage::Deciding`] or [`Stage::Opening`].
    handover: Handover,
    /// Whether it has got as far as the commit point.
    is_through: bool,
}

/// What a rehearsal has carried out: what can be undone, and the undoing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undoable {
    /// As [`Effect::CheckReady`].
    CheckReady,
    /// As [`Effect::LockWeakly`].
    LockWeakly,
    /// As [`Effect::Hold`].
    Hold {
        /// Who has not acknowledged.
        missing: BTreeSet<GatewayId>,
    },
    /// As [`Effect::Fence`].
    Fence,
    /// As [`Effect::CatchUp`].
    CatchUp,
    /// The source's row is given back to its owner.
    Abort,
}

impl From<Undoable> for Effect {
    fn from(undoable: Undoable) -> Self {
        match undoable {
            Undoable::CheckReady => Self::CheckReady,
            Undoable::LockWeakly => Self::LockWeakly,
            Undoable::Hold { missing } => Self::Hold { missing },
            Undoable::Fence => Self::Fence,
            Undoable::CatchUp => Self::CatchUp,
            Undoable::Abort => Self::Decide(Outcome::Aborted),
        }
    }
}

impl Rehearsal {
    /// One that begins.
    pub fn new(epoch: Epoch, from: Side, nonce: Nonce) -> Self {
        Self {
            handover: Handover::new(epoch, from, nonce),
            is_through: false,
        }
    }

    /// Its decision's number.
    pub fn epoch(&self) -> Epoch {
        self.handover.epoch
    }

    /// Who owns, before it and after it.
    pub fn from(&self) -> Side {
        self.handover.from
    }

    /// Tells its mark and opening from all others.
    pub fn nonce(&self) -> Nonce {
        self.handover.nonce
    }

    /// Where it is.
    pub fn stage(&self) -> &Stage {
        &self.handover.stage
    }

    /// Whether the gateways hold the writes now.
    pub fn holds(&self) -> bool {
        self.handover.holds()
    }

    /// Until when a commit might be asked for.
    pub fn deadline(&self) -> Option<Millis> {
        self.handover.deadline()
    }

    /// What must be done now.
    pub fn due(&self) -> Undoable {
        match self.handover.due() {
            Effect::CheckReady => Undoable::CheckReady,
            Effect::LockWeakly => Undoable::LockWeakly,
            Effect::Hold { missing } => Undoable::Hold { missing },
            Effect::Fence => Undoable::Fence,
            Effect::CatchUp => Undoable::CatchUp,
            Effect::Decide(_) | Effect::Open => Undoable::Abort,
        }
    }

    /// What an input leads to, as of a hand-over; one that ends as planned has no reason.
    pub fn decide(&self, input: Input) -> Transition {
        match self.handover.decide(input) {
            Transition::Ended { outcome, reason } => Transition::Ended {
                outcome,
                reason: reason.filter(|_| !self.is_through),
            },
            steps @ Transition::Steps(_) => steps,
        }
    }

    /// It after a step.
    #[must_use]
    pub fn evolve(self, step: &Step) -> Self {
        let handover = self.handover.evolve(step);
        match handover.stage {
            Stage::Deciding => Self {
                handover: Handover {
                    stage: Stage::Undoing {
                        reason: AS_PLANNED.to_owned(),
                    },
                    ..handover
                },
                is_through: true,
            },
            _ => Self { handover, ..self },
        }
    }

    /// The hand-over that it is where the row says that somebody has committed it: nobody
    /// of ours does, but whatever a row says is so.
    pub(crate) fn committed(self) -> Handover {
        Handover {
            stage: Stage::Opening,
            ..self.handover
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;
    use uuid::Uuid;

    fn begun() -> Rehearsal {
        Rehearsal::new(Epoch(3), Side::Monolith, Nonce(Uuid::from_u128(1)))
    }

    fn stepped(rehearsal: Rehearsal, input: Input) -> (Rehearsal, Transition) {
        let transition = rehearsal.decide(input);
        let after = match &transition {
            Transition::Steps(steps) => steps.iter().fold(rehearsal, Rehearsal::evolve),
            Transition::Ended { .. } => rehearsal,
        };
        (after, transition)
    }

    fn gateway() -> GatewayId {
        GatewayId(Uuid::from_u128(7))
    }

    fn locked() -> Input {
        Input::Locked {
            now: Millis(0),
            hold: Duration::from_secs(2),
            gateways: BTreeSet::from([gateway()]),
        }
    }

    #[test]
    fn one_that_gets_through_is_undone_without_a_reason() {
        let mut rehearsal = begun();
        let mut due = Vec::new();
        for input in [
            Input::Ready,
            locked(),
            Input::Held(gateway()),
            Input::Fenced,
            Input::CaughtUp,
        ] {
            due.push(rehearsal.due());
            rehearsal = stepped(rehearsal, input).0;
        }
        let missing = BTreeSet::from([gateway()]);
        assert_eq!(
            due,
            [
                Undoable::CheckReady,
                Undoable::LockWeakly,
                Undoable::Hold { missing },
                Undoable::Fence,
                Undoable::CatchUp
            ]
        );
        assert_eq!(rehearsal.due(), Undoable::Abort);
        let (_, ended) = stepped(rehearsal, Input::Decided(Outcome::Aborted));
        let wanted = Transition::Ended {
            outcome: Outcome::Aborted,
            reason: None,
        };
        assert_eq!(ended, wanted);
    }

    #[test]
    fn one_that_fails_says_why() {
        let (rehearsal, _) = stepped(begun(), Input::Ready);
        let (rehearsal, _) = stepped(rehearsal, Input::Failed("no lock".to_owned()));
        assert_eq!(rehearsal.due(), Undoable::Abort);
        let (_, ended) = stepped(rehearsal, Input::Decided(Outcome::Aborted));
        let reason = Some("no lock".to_owned());
        let outcome = Outcome::Aborted;
        assert_eq!(ended, Transition::Ended { outcome, reason });
    }

    fn inputs() -> impl Strategy<Value = Input> {
        prop_oneof![
            Just(Input::Ready),
            Just(locked()),
            Just(Input::Held(gateway())),
            Just(Input::Fenced),
            Just(Input::CaughtUp),
            Just(Input::Decided(Outcome::Aborted)),
            Just(Input::Opened),
            Just(Input::Failed("no".to_owned())),
            Just(Input::Tick(Millis(0))),
            Just(Input::Tick(Millis(9_999))),
            Just(Input::Restarted),
        ]
    }

    proptest! {
        /// Whatever comes in, in whatever order.
        #[test]
        fn no_input_leads_to_a_commit(inputs in prop::collection::vec(inputs(), 0..40)) {
            let mut rehearsal = begun();
            for input in inputs {
                let (after, transition) = stepped(rehearsal, input);
                let commits = matches!(
                    transition,
                    Transition::Ended { outcome: Outcome::Committed, .. }
                );
                prop_assert!(!commits, "{transition:?}");
                let decided = matches!(after.stage(), Stage::Deciding | Stage::Opening);
                prop_assert!(!decided, "{after:?}");
                prop_assert_ne!(Effect::from(after.due()), Effect::Decide(Outcome::Committed));
                rehearsal = after;
            }
        }
    }
}

//! An extraction from its plan to its end.
//!
//! [`Lifecycle::decide`] says what a command leads to, [`Lifecycle::evolve`]
//! what an event makes of the state. The journal holds the events; the rows in
//! both databases hold the truth about ownership, and [`crate::reconcile`]
//! compares the two whenever a conductor starts.

mod command;
mod event;
mod under_way;

pub use command::{Command, Rejection};
pub use event::{Event, Verified};
pub use under_way::UnderWay;

use crate::{
    Epoch, InstanceId, Side,
    handover::{Handover, Stage},
    owner::{ObservedOwnership, Outcome},
    rehearsal::Rehearsal,
    routing::{ExtractionRouting, Writes},
};
use plan::Percent;
use serde::{Deserialize, Serialize};

/// The state of one extraction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Lifecycle {
    /// Nothing of it exists outside the plan.
    #[default]
    Planned,
    /// Our objects are being made on both sides.
    Preparing {
        /// Its identity.
        instance: InstanceId,
    },
    /// The first copy runs.
    Copying {
        /// Its identity.
        instance: InstanceId,
    },
    /// One side owns it, the other follows.
    Owned(Owned),
    /// Ownership is on its way.
    HandingOver {
        /// What holds until the commit point.
        before: Owned,
        /// How far it is.
        handover: UnderWay,
    },
    /// Everything of ours is being taken away.
    Cancelling {
        /// Its identity.
        instance: InstanceId,
        /// Whether it was prepared: what is there of another instance is not its own then.
        /// Preparing may meet what another life has left, which goes with it.
        prepared: bool,
    },
    /// It has switched for good: everything of ours is being taken away.
    Finishing(Kept),
    /// The service has it, and nothing of ours is in the databases.
    Finished(Kept),
}

/// What the service keeps for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kept {
    /// Its identity.
    pub instance: InstanceId,
    /// The last decision.
    pub epoch: Epoch,
}

/// One side owns it, the other follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Owned {
    /// Its identity.
    pub instance: InstanceId,
    /// Who owns.
    pub by: Side,
    /// The last decision.
    pub epoch: Epoch,
    /// The share of clients whose reads go to the service.
    pub reads: Percent,
    /// What is known of the sides' agreement since the copy or the last
    /// hand-over.
    pub verified: Verified,
}

impl Lifecycle {
    /// What a command leads to.
    pub fn decide(&self, command: Command) -> Result<Vec<Event>, Rejection> {
        match (self, command) {
            (Self::Planned, Command::Start { instance }) => Ok(vec![Event::Started { instance }]),
            (Self::Preparing { .. }, Command::Prepared) => Ok(vec![Event::Prepared]),
            (Self::Copying { .. }, Command::Copied) => Ok(vec![Event::Copied]),
            (Self::Owned(_), Command::Verified(result)) => Ok(vec![Event::Verified { result }]),
            (Self::Owned(_), Command::ShiftReads(reads)) => Ok(vec![Event::ReadsShifted { reads }]),
            (Self::Owned(owned), Command::Withdraw) => match owned.by {
                Side::Monolith => Ok(vec![Event::ReadsShifted {
                    reads: Percent::ZERO,
                }]),
                Side::Service => Err(Rejection::NotWithdrawn),
            },
            (Self::Owned(owned), Command::Finish) => match owned.by {
                Side::Monolith => Err(Rejection::NotSwitched),
                Side::Service => Ok(vec![Event::FinishBegan]),
            },
            (Self::Finishing(_) | Self::Finished(_), Command::Finish) => Ok(Vec::new()),
            (Self::Finishing(_), Command::Finished) => Ok(vec![Event::Finished]),
            (Self::Owned(owned), Command::HandOver { to, .. }) if owned.by == to => {
                Err(Rejection::OwnsAlready(to))
            }
            (Self::Owned(owned), Command::HandOver { nonce, .. }) => {
                Ok(vec![Event::HandoverBegan {
                    epoch: owned.epoch.next(),
                    from: owned.by,
                    nonce,
                }])
            }
            (Self::Owned(owned), Command::Rehearse { nonce }) => Ok(vec![Event::RehearsalBegan {
                epoch: owned.epoch.next(),
                from: owned.by,
                nonce,
            }]),
            (Self::HandingOver { handover, .. }, Command::Handover(input)) => {
                Ok(Event::of_transition(handover.decide(input)))
            }
            (Self::Preparing { .. } | Self::Copying { .. }, Command::Cancel) => {
                Ok(vec![Event::CancelBegan])
            }
            (Self::Owned(owned), Command::Cancel) => match owned.by {
                Side::Monolith => Ok(vec![Event::CancelBegan]),
                Side::Service => Err(Rejection::Switched),
            },
            // A repeat, or a late report of a hand-over that has ended.
            (Self::Cancelling { .. }, Command::Cancel) | (_, Command::Handover(_)) => {
                Ok(Vec::new())
            }
            (Self::Cancelling { .. }, Command::Cancelled) => Ok(vec![Event::Cancelled]),
            (state, _) => Err(state.rejection()),
        }
    }

    /// Why a command that asks for data with an owner is refused in another state.
    pub fn rejection(&self) -> Rejection {
        let remedy = match self {
            Self::Finishing(_) | Self::Finished(_) => return Rejection::Finished(self.name()),
            Self::Planned => "Begin with `banyan start`",
            Self::Preparing { .. } | Self::Copying { .. } => {
                "Wait until it follows: `banyan status`"
            }
            Self::Owned(_) => "It has been started already: `banyan status`",
            Self::HandingOver { .. } => "Wait until the hand-over ends: `banyan status`",
            Self::Cancelling { .. } => "Wait until it is cancelled, then start again",
        };
        Rejection::WrongState {
            state: self.name(),
            remedy,
        }
    }

    /// The state after an event. Events that do not fit change nothing.
    #[must_use]
    pub fn evolve(self, event: &Event) -> Self {
        match (self, event) {
            (_, Event::Started { instance }) => Self::Preparing {
                instance: *instance,
            },
            (Self::Preparing { instance }, Event::Prepared) => Self::Copying { instance },
            (Self::Copying { instance }, Event::Copied) => Self::Owned(Owned {
                instance,
                by: Side::Monolith,
                epoch: Epoch::default(),
                reads: Percent::ZERO,
                verified: Verified::Never,
            }),
            (Self::Owned(owned), Event::Verified { result }) => Self::Owned(Owned {
                verified: *result,
                ..owned
            }),
            (Self::Owned(owned), Event::ReadsShifted { reads }) => Self::Owned(Owned {
                reads: *reads,
                ..owned
            }),
            (Self::Owned(before), Event::HandoverBegan { epoch, from, nonce }) => {
                Self::HandingOver {
                    before,
                    handover: UnderWay::Handover(Handover::new(*epoch, *from, *nonce)),
                }
            }
            (Self::Owned(before), Event::RehearsalBegan { epoch, from, nonce }) => {
                Self::HandingOver {
                    before,
                    handover: UnderWay::Rehearsal(Rehearsal::new(*epoch, *from, *nonce)),
                }
            }
            (Self::HandingOver { before, handover }, Event::HandoverStepped { step }) => {
                Self::HandingOver {
                    before,
                    handover: handover.evolve(step),
                }
            }
            (Self::HandingOver { before, handover }, Event::HandoverEnded { outcome, .. })
                if *outcome == Outcome::Aborted || !handover.is_rehearsal() =>
            {
                Self::Owned(ended(before, &handover, *outcome))
            }
            (Self::Preparing { instance }, Event::CancelBegan) => Self::Cancelling {
                instance,
                prepared: false,
            },
            (
                Self::Copying { instance } | Self::Owned(Owned { instance, .. }),
                Event::CancelBegan,
            ) => Self::Cancelling {
                instance,
                prepared: true,
            },
            (Self::Cancelling { .. }, Event::Cancelled) => Self::Planned,
            (Self::Owned(owned), Event::FinishBegan) => Self::Finishing(Kept {
                instance: owned.instance,
                epoch: owned.epoch,
            }),
            (Self::Finishing(kept), Event::Finished) => Self::Finished(kept),
            (_, Event::Rebuilt { observed, instance }) => Self::rebuilt(observed, *instance),
            (state, _) => state,
        }
    }

    /// The state that the rows stand for, where nothing else is known. Reads
    /// go to the owner until somebody shifts them again.
    fn rebuilt(observed: &ObservedOwnership, instance: InstanceId) -> Self {
        let owned = |by, epoch| Owned {
            instance,
            by,
            epoch,
            reads: match by {
                Side::Monolith => Percent::ZERO,
                Side::Service => Percent::ALL,
            },
            verified: Verified::Never,
        };
        let under_way = |from: Side, epoch: Epoch, nonce, stage| Self::HandingOver {
            before: owned(from, Epoch(epoch.0.saturating_sub(1))),
            handover: UnderWay::Handover(Handover {
                epoch,
                from,
                nonce,
                stage,
            }),
        };
        match *observed {
            ObservedOwnership::Copying => Self::Copying { instance },
            ObservedOwnership::Settled { by, epoch } => Self::Owned(owned(by, epoch)),
            ObservedOwnership::Fenced { from, epoch, nonce } => {
                let reason = "the journal was lost during it".to_owned();
                under_way(from, epoch, nonce, Stage::Undoing { reason })
            }
            ObservedOwnership::Committed { from, epoch, nonce } => {
                under_way(from, epoch, nonce, Stage::Opening)
            }
        }
    }

    /// Its word in `banyan status`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Preparing { .. } => "preparing",
            Self::Copying { .. } => "copying",
            Self::Owned(Owned {
                by: Side::Monolith, ..
            }) => "following",
            Self::Owned(Owned {
                by: Side::Service, ..
            }) => "switched",
            Self::HandingOver { handover, .. } if handover.is_rehearsal() => "rehearsing",
            Self::HandingOver {
                before: Owned {
                    by: Side::Monolith, ..
                },
                ..
            } => "switching",
            Self::HandingOver { .. } => "rolling-back",
            Self::Cancelling { .. } => "cancelling",
            Self::Finishing(_) => "finishing",
            Self::Finished(_) => "finished",
        }
    }

    /// Who owns it and since which decision; `None` while nobody knows or
    /// nobody does.
    pub fn owned(&self) -> Option<&Owned> {
        match self {
            Self::Owned(owned) => Some(owned),
            _ => None,
        }
    }

    /// Its identity, once it has one.
    pub fn instance(&self) -> Option<InstanceId> {
        match self {
            Self::Planned => None,
            Self::Preparing { instance }
            | Self::Copying { instance }
            | Self::Cancelling { instance, .. } => Some(*instance),
            Self::Finishing(kept) | Self::Finished(kept) => Some(kept.instance),
            Self::Owned(owned) | Self::HandingOver { before: owned, .. } => Some(owned.instance),
        }
    }

    /// Whose rows go when this ends; `None`: whatever there is.
    pub fn ending(&self) -> Option<InstanceId> {
        match self {
            Self::Cancelling {
                prepared: false, ..
            } => None,
            state => state.instance(),
        }
    }

    /// The last decision that this state knows of, one under way included.
    pub fn epoch(&self) -> Epoch {
        match self {
            Self::Owned(owned) => owned.epoch,
            Self::HandingOver { handover, .. } => handover.epoch(),
            Self::Finishing(kept) | Self::Finished(kept) => kept.epoch,
            _ => Epoch::default(),
        }
    }

    /// What the gateways are told.
    pub fn routing(&self) -> ExtractionRouting {
        let instance = self.instance();
        let to = |side, epoch, reads, follows| ExtractionRouting {
            instance,
            epoch,
            writes: Writes::To(side),
            reads,
            follows,
        };
        match self {
            // The service has nothing yet.
            Self::Planned
            | Self::Preparing { .. }
            | Self::Copying { .. }
            | Self::Cancelling { .. } => to(Side::Monolith, Epoch::default(), Percent::ZERO, false),
            Self::Owned(owned) => to(owned.by, owned.epoch, owned.reads, true),
            // Nothing flows back to the monolith any more.
            Self::Finishing(kept) | Self::Finished(kept) => {
                to(Side::Service, kept.epoch, Percent::ALL, false)
            }
            Self::HandingOver { before, handover } if handover.holds() => ExtractionRouting {
                instance,
                epoch: handover.epoch(),
                writes: Writes::Hold {
                    from: handover.from(),
                },
                reads: before.reads,
                follows: true,
            },
            Self::HandingOver { before, .. } => to(before.by, before.epoch, before.reads, true),
        }
    }
}

fn ended(before: Owned, handover: &UnderWay, outcome: Outcome) -> Owned {
    match outcome {
        // The epoch is spent either way: the next hand-over takes a new one.
        Outcome::Aborted => Owned {
            epoch: handover.epoch(),
            ..before
        },
        Outcome::Committed => Owned {
            by: handover.to(),
            epoch: handover.epoch(),
            verified: Verified::Never,
            ..before
        },
    }
}

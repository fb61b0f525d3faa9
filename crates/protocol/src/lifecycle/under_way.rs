//! A hand-over under way that is meant, or the rehearsal of one.

use crate::{
    Epoch, Millis, Nonce, Side,
    handover::{Effect, Handover, Input, Stage, Step, Transition},
    rehearsal::Rehearsal,
};

/// What is under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UnderWay {
    /// A switch or a rollback.
    Handover(Handover),
    /// The rehearsal of one.
    Rehearsal(Rehearsal),
}

impl UnderWay {
    /// Whether it is a rehearsal.
    pub fn is_rehearsal(&self) -> bool {
        matches!(self, Self::Rehearsal(_))
    }

    /// Its decision's number.
    pub fn epoch(&self) -> Epoch {
        match self {
            Self::Handover(handover) => handover.epoch,
            Self::Rehearsal(rehearsal) => rehearsal.epoch(),
        }
    }

    /// Who owns until the commit point.
    pub fn from(&self) -> Side {
        match self {
            Self::Handover(handover) => handover.from,
            Self::Rehearsal(rehearsal) => rehearsal.from(),
        }
    }

    /// The other side.
    pub fn to(&self) -> Side {
        self.from().other()
    }

    /// Tells its mark and openings from all others.
    pub fn nonce(&self) -> Nonce {
        match self {
            Self::Handover(handover) => handover.nonce,
            Self::Rehearsal(rehearsal) => rehearsal.nonce(),
        }
    }

    /// Where it is.
    pub fn stage(&self) -> &Stage {
        match self {
            Self::Handover(handover) => &handover.stage,
            Self::Rehearsal(rehearsal) => rehearsal.stage(),
        }
    }

    /// What must be done now.
    pub fn due(&self) -> Effect {
        match self {
            Self::Handover(handover) => handover.due(),
            Self::Rehearsal(rehearsal) => rehearsal.due().into(),
        }
    }

    /// Whether the gateways hold the writes in this stage.
    pub fn holds(&self) -> bool {
        match self {
            Self::Handover(handover) => handover.holds(),
            Self::Rehearsal(rehearsal) => rehearsal.holds(),
        }
    }

    /// Until when the commit may be asked for, once the hold has begun.
    pub fn deadline(&self) -> Option<Millis> {
        match self {
            Self::Handover(handover) => handover.deadline(),
            Self::Rehearsal(rehearsal) => rehearsal.deadline(),
        }
    }

    /// What an input leads to.
    pub fn decide(&self, input: Input) -> Transition {
        match self {
            Self::Handover(handover) => handover.decide(input),
            Self::Rehearsal(rehearsal) => rehearsal.decide(input),
        }
    }

    /// It after a step.
    #[must_use]
    pub(super) fn evolve(self, step: &Step) -> Self {
        match (self, step) {
            (Self::Handover(handover), step) => Self::Handover(handover.evolve(step)),
            (Self::Rehearsal(rehearsal), Step::Committed) => Self::Handover(rehearsal.committed()),
            (Self::Rehearsal(rehearsal), step) => Self::Rehearsal(rehearsal.evolve(step)),
        }
    }
}

//! The steps of a hand-over: a switch, or a rollback with the sides exchanged.
//!
//! ```text
//!             nothing touched         held             fenced
//!          ┌─────────┬─────────┐ ┌─────────┬─────────┐ ┌────────────┬──────────┐
//!  begin ─▶ Readying ─▶ Locking ─▶ Holding ─▶ Fencing ─▶ CatchingUp ─▶ Deciding ─┬▶ Opening ─▶ opened
//!               │         │           │         │           │            │       │      ▲
//!               └─────────┴───────────┴─────────┴───────────┴────────────┘       │      │ (lost: it was
//!                            any failure, deadline, restart                      │      │  committed)
//!                                         ▼                                      │      │
//!                                      Undoing ──────────────────────────────────┴──────┘
//!                                         └─▶ aborted
//! ```
//!
//! The commit point is the compare-and-set of *Deciding* in the old owner's
//! database. *Undoing* is the competing one. Whichever the database takes, the
//! other learns of, so a lost reply, a crash or a second conductor can be
//! answered in one way: try to abort, and believe the row. After it there is
//! only *Opening*, which is repeated until it succeeds.
//!
//! A hand-over in this type is only ever *before* its end; its result is an
//! event of the extraction's life (see [`crate::lifecycle`]).

use crate::{Epoch, GatewayId, Millis, Nonce, Side, owner::Outcome};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, time::Duration};

/// The part of the longest hold that is left for the way back to the gateways:
/// past the rest of it no commit is asked for. One quarter.
const MARGIN_DIVISOR: u32 = 4;

/// How much of the longest hold there is until the commit is asked for: for drain,
/// fence and catching up.
pub fn before_commit(hold: Duration) -> Duration {
    hold.saturating_sub(hold / MARGIN_DIVISOR)
}

/// A hand-over under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Handover {
    /// Its decision's number.
    pub epoch: Epoch,
    /// Who owns until the commit point.
    pub from: Side,
    /// Tells its mark and openings from all others.
    pub nonce: Nonce,
    /// Where it is.
    pub stage: Stage,
}

/// Where a hand-over is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// It is being looked whether everything is ready. Nothing is touched.
    Readying,
    /// The source's tables get the weak lock that lets writers through and
    /// keeps DDL and autovacuum out.
    Locking,
    /// Gateways hold new writes and drain those in flight.
    Holding {
        /// Gateways that have not acknowledged yet.
        missing: BTreeSet<GatewayId>,
        /// Past this the commit point is not tried any more.
        deadline: Millis,
    },
    /// The source is locked and fenced, the mark is written.
    Fencing {
        /// As above.
        deadline: Millis,
    },
    /// The target reads up to the mark; sequences move.
    CatchingUp {
        /// As above.
        deadline: Millis,
    },
    /// The commit point has been asked for; its outcome is not known.
    Deciding,
    /// The abort has been asked for; its outcome is not known.
    Undoing {
        /// Why.
        reason: String,
    },
    /// Committed. The target is being opened.
    Opening,
}

/// What must be done now. Derived from the stage, so that it is the same
/// after a restart. Each may be repeated, and carries its epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Look whether everything is ready.
    CheckReady,
    /// Take the weak lock on the source's tables.
    LockWeakly,
    /// Let these gateways hold, and report each that has drained.
    Hold {
        /// Who has not acknowledged.
        missing: BTreeSet<GatewayId>,
    },
    /// Lock, fence and mark the source.
    Fence,
    /// Wait for the target to pass the mark, then move its sequences.
    CatchUp,
    /// The compare-and-set on the source's row.
    Decide(Outcome),
    /// Open the target.
    Open,
}

/// What a hand-over takes in: results of effects, the clock, a restart, an abort.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Everything is ready.
    Ready,
    /// The weak lock is held; the hold begins at `now`, for at most `hold`.
    Locked {
        /// The caller's clock.
        now: Millis,
        /// The longest that a request may be held.
        hold: Duration,
        /// The gateways alive now: each must acknowledge.
        gateways: BTreeSet<GatewayId>,
    },
    /// A gateway holds and has drained, or its lease has ended.
    Held(GatewayId),
    /// The source is fenced.
    Fenced,
    /// The target has passed the mark and its sequences have moved.
    CaughtUp,
    /// The source's row has been decided, by whomever.
    Decided(Outcome),
    /// The target is open.
    Opened,
    /// The effect that is due failed, or the operator asks for an abort.
    Failed(String),
    /// Time has passed.
    Tick(Millis),
    /// The conductor was restarted: nothing that it did not write down is
    /// known, and no lock of its is held.
    Restarted,
}

/// What has happened. Persisted: a format of its own, never edited.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Everything was ready.
    Readied,
    /// The hold began.
    HoldBegan {
        /// Who must acknowledge.
        gateways: BTreeSet<GatewayId>,
        /// On the clock of the conductor that wrote it.
        deadline: Millis,
    },
    /// A gateway acknowledged.
    Acknowledged {
        /// Which.
        gateway: GatewayId,
    },
    /// The source was fenced.
    Fenced,
    /// The target had everything.
    CaughtUp,
    /// An abort was decided on, not yet carried out.
    AbortChosen {
        /// Why.
        reason: String,
    },
    /// The row says that the commit won.
    Committed,
}

/// What a hand-over makes of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transition {
    /// It goes on; these have happened (none: the input changed nothing).
    Steps(Vec<Step>),
    /// It ended.
    Ended {
        /// How.
        outcome: Outcome,
        /// Why, when it was aborted.
        reason: Option<String>,
    },
}

impl Handover {
    /// A hand-over that begins.
    pub fn new(epoch: Epoch, from: Side, nonce: Nonce) -> Self {
        Self {
            epoch,
            from,
            nonce,
            stage: Stage::Readying,
        }
    }

    /// Who owns after the commit point.
    pub fn to(&self) -> Side {
        self.from.other()
    }

    /// What must be done now.
    pub fn due(&self) -> Effect {
        match &self.stage {
            Stage::Readying => Effect::CheckReady,
            Stage::Locking => Effect::LockWeakly,
            Stage::Holding { missing, .. } => Effect::Hold {
                missing: missing.clone(),
            },
            Stage::Fencing { .. } => Effect::Fence,
            Stage::CatchingUp { .. } => Effect::CatchUp,
            Stage::Deciding => Effect::Decide(Outcome::Committed),
            Stage::Undoing { .. } => Effect::Decide(Outcome::Aborted),
            Stage::Opening => Effect::Open,
        }
    }

    /// Whether the gateways hold the writes in this stage.
    pub fn holds(&self) -> bool {
        !matches!(self.stage, Stage::Readying | Stage::Locking)
    }

    /// Until when the commit may be asked for, once the hold has begun.
    pub fn deadline(&self) -> Option<Millis> {
        match self.stage {
            Stage::Holding { deadline, .. }
            | Stage::Fencing { deadline }
            | Stage::CatchingUp { deadline } => Some(deadline),
            _ => None,
        }
    }

    /// What an input leads to. An input that does not belong to the stage
    /// changes nothing: it is a repeat, or late.
    pub fn decide(&self, input: Input) -> Transition {
        match (&self.stage, input) {
            (Stage::Readying, Input::Ready) => Transition::one(Step::Readied),
            (
                Stage::Locking,
                Input::Locked {
                    now,
                    hold,
                    gateways,
                },
            ) => {
                let deadline = Millis(now.0 + millis(before_commit(hold)));
                Transition::one(Step::HoldBegan { gateways, deadline })
            }
            (Stage::Holding { missing, .. }, Input::Held(gateway))
                if missing.contains(&gateway) =>
            {
                Transition::one(Step::Acknowledged { gateway })
            }
            (Stage::Fencing { .. }, Input::Fenced) => Transition::one(Step::Fenced),
            (Stage::CatchingUp { .. }, Input::CaughtUp) => Transition::one(Step::CaughtUp),
            (Stage::Deciding | Stage::Undoing { .. }, Input::Decided(Outcome::Committed)) => {
                Transition::one(Step::Committed)
            }
            (Stage::Deciding, Input::Decided(Outcome::Aborted)) => Transition::Ended {
                outcome: Outcome::Aborted,
                reason: Some("somebody else aborted it".to_owned()),
            },
            (Stage::Undoing { reason }, Input::Decided(Outcome::Aborted)) => Transition::Ended {
                outcome: Outcome::Aborted,
                reason: Some(reason.clone()),
            },
            (Stage::Opening, Input::Opened) => Transition::Ended {
                outcome: Outcome::Committed,
                reason: None,
            },
            (stage, Input::Tick(now)) => match self.deadline() {
                Some(deadline) if now >= deadline => self.abort(format!(
                    "the time that `switch.hold` gives was over while {}. See what each step \
                         took, and raise it where that is as it should be",
                    stage.doing()
                )),
                _ => Transition::nothing(),
            },
            (_, Input::Failed(reason)) => self.abort(reason),
            (_, Input::Restarted) => self.abort("the conductor was restarted".to_owned()),
            _ => Transition::nothing(),
        }
    }

    /// Before the commit point everything can be undone; after it, nothing.
    fn abort(&self, reason: String) -> Transition {
        match self.stage {
            Stage::Readying => Transition::Ended {
                outcome: Outcome::Aborted,
                reason: Some(reason),
            },
            // Undoing and opening are repeated until they succeed.
            Stage::Undoing { .. } | Stage::Opening => Transition::nothing(),
            _ => Transition::one(Step::AbortChosen { reason }),
        }
    }

    /// The hand-over after a step.
    #[must_use]
    pub fn evolve(mut self, step: &Step) -> Self {
        self.stage = match (self.stage, step) {
            (Stage::Readying, Step::Readied) => Stage::Locking,
            (_, Step::HoldBegan { gateways, deadline }) => holding(gateways.clone(), *deadline),
            (
                Stage::Holding {
                    mut missing,
                    deadline,
                },
                Step::Acknowledged { gateway },
            ) => {
                missing.remove(gateway);
                holding(missing, deadline)
            }
            (Stage::Fencing { deadline }, Step::Fenced) => Stage::CatchingUp { deadline },
            (Stage::CatchingUp { .. }, Step::CaughtUp) => Stage::Deciding,
            (_, Step::AbortChosen { reason }) => Stage::Undoing {
                reason: reason.clone(),
            },
            (_, Step::Committed) => Stage::Opening,
            (stage, _) => stage,
        };
        self
    }
}

fn holding(missing: BTreeSet<GatewayId>, deadline: Millis) -> Stage {
    if missing.is_empty() {
        Stage::Fencing { deadline }
    } else {
        Stage::Holding { missing, deadline }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Transition {
    fn one(step: Step) -> Self {
        Self::Steps(vec![step])
    }

    fn nothing() -> Self {
        Self::Steps(Vec::new())
    }
}

impl Stage {
    /// What is being done, for messages and progress.
    pub fn doing(&self) -> &'static str {
        match self {
            Self::Readying => "checking that everything is ready",
            Self::Locking => "taking the weak lock",
            Self::Holding { .. } => "waiting for the gateways to drain",
            Self::Fencing { .. } => "fencing the old owner",
            Self::CatchingUp { .. } => "waiting for the new owner to catch up",
            Self::Deciding => "committing",
            Self::Undoing { .. } => "aborting",
            Self::Opening => "opening the new owner",
        }
    }

    /// A short name for reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Readying => "ready",
            Self::Locking => "lock",
            Self::Holding { .. } => "hold",
            Self::Fencing { .. } => "fence",
            Self::CatchingUp { .. } => "catch-up",
            Self::Deciding => "commit",
            Self::Undoing { .. } => "abort",
            Self::Opening => "open",
        }
    }
}

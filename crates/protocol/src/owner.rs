//! Who may write: the row that is the truth, and how it changes.
//!
//! Each side's database holds one row per extraction, `banyan.owner`. A side's
//! fence lets a write pass only while that side's own row names that side. So
//! at most one side accepts writes exactly when at most one row names its own
//! side, and these are all the transitions there are (`S` hands over to `T`):
//!
//! | step  | where | from                 | to       | with             |
//! |-------|-------|----------------------|----------|------------------|
//! | fence | S     | `S`, before E        | `nobody/E` | mark E         |
//! | commit| S     | `nobody/E`           | `T/E`    |                  |
//! | abort | S     | `nobody/E`, or `S` before E | `S/E` | opening E   |
//! | open  | T     | `S`, before E        | `T/E`    | opening E        |
//!
//! An abort of an epoch that was never fenced spends it all the same: a fence
//! of that epoch that was sent and given up may still arrive, and must find
//! the epoch taken.
//!
//! *Open* happens only after `T/E` has been read from S's row. Commit and
//! abort compete for the same row, so one of them finds it taken. Hence when
//! T's row names T, S's row does not name S; and S's row names S again only
//! after T's row has gone through `nobody` in the next epoch.

use crate::{ConductorId, Epoch, Generation, InstanceId, Nonce, Side};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whose writes a row lets pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// The monolith's.
    Monolith,
    /// The service's.
    Service,
    /// No one's: a hand-over is between its fence and its commit point.
    Nobody,
}

impl Owner {
    /// Its word in the row.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Monolith => "monolith",
            Self::Service => "service",
            Self::Nobody => "nobody",
        }
    }

    /// Reads the word of a row.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Monolith, Self::Service, Self::Nobody]
            .into_iter()
            .find(|owner| owner.as_str() == word)
    }

    /// The side, if it is one.
    pub fn side(self) -> Option<Side> {
        match self {
            Self::Monolith => Some(Side::Monolith),
            Self::Service => Some(Side::Service),
            Self::Nobody => None,
        }
    }
}

impl From<Side> for Owner {
    fn from(side: Side) -> Self {
        match side {
            Side::Monolith => Self::Monolith,
            Side::Service => Self::Service,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `banyan.owner`, as one side's database holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerRow {
    /// Whose writes pass on this side.
    pub owner: Owner,
    /// The last decision that this side knows of.
    pub epoch: Epoch,
    /// The last conductor's turn.
    pub generation: Generation,
    /// The last conductor.
    pub conductor: ConductorId,
    /// The extraction that the row belongs to.
    pub instance: InstanceId,
    /// The nonce of the fence or opening that wrote `owner` last.
    pub nonce: Nonce,
}

/// The right to change one side's row: held by the conductor that claimed it
/// last. A row that has been claimed since refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Who claims.
    pub conductor: ConductorId,
    /// The generation that the claim made.
    pub generation: Generation,
}

/// How a hand-over was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The new owner has it.
    Committed,
    /// The old owner keeps it.
    Aborted,
}

/// What to do to a source row in order to decide epoch `epoch`, whose source
/// is `from`, in favour of `wanted`. Pure, so that the executor's SQL and the
/// simulation cannot differ in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Change the row to this owner.
    Set(Owner),
    /// Somebody decided before; this is the outcome.
    Already(Outcome),
    /// The epoch was never fenced here, so it cannot be committed.
    NeverFenced,
    /// The row is further: the asker is out of date and must stop.
    Superseded,
}

impl OwnerRow {
    /// The compare of the compare-and-set at the commit point.
    pub fn decide(&self, from: Side, epoch: Epoch, wanted: Outcome) -> Decision {
        if self.epoch > epoch {
            return Decision::Superseded;
        }
        if self.epoch < epoch {
            return match wanted {
                Outcome::Committed => Decision::NeverFenced,
                Outcome::Aborted => Decision::Set(from.into()),
            };
        }
        match self.owner {
            Owner::Nobody => Decision::Set(match wanted {
                Outcome::Committed => from.other().into(),
                Outcome::Aborted => from.into(),
            }),
            owner if owner == from.into() => Decision::Already(Outcome::Aborted),
            _ => Decision::Already(Outcome::Committed),
        }
    }
}

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

use crate::{ConductorId, Epoch, Generation, HandoverId, InstanceId, Nonce, Side};
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// What to do to a source row in order to decide a hand-over in favour of `wanted`.
/// Pure, so that the executor's SQL and the simulation cannot differ in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Change the row to this owner.
    Set(Owner),
    /// Somebody decided before; this is the outcome.
    Already(Outcome),
    /// The epoch was never fenced here, so it cannot be committed.
    NeverFenced,
    /// The row is further, or was brought to this epoch by another hand-over: the asker
    /// is out of date and must stop.
    Superseded,
}

impl OwnerRow {
    /// The compare of the compare-and-set at the commit point.
    pub fn decide(&self, id: &HandoverId, wanted: Outcome) -> Decision {
        let HandoverId { epoch, from, .. } = *id;
        if self.epoch > epoch || self.is_of_another(id) {
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

    /// Whether another hand-over has used up this one's epoch: two conductors, each with
    /// a journal that did not know of the other's, have given it to one of theirs.
    pub fn is_of_another(&self, id: &HandoverId) -> bool {
        self.epoch == id.epoch && self.nonce != id.nonce
    }
}

/// What the two rows say together. Persisted in an event of the lifecycle: the
/// names of its JSON are never edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "found")]
pub enum ObservedOwnership {
    /// The copy had not ended.
    Copying,
    /// A side owns it and nothing is under way.
    Settled {
        /// Who.
        by: Side,
        /// Since when.
        epoch: Epoch,
    },
    /// The source is fenced, the commit point not passed.
    Fenced {
        /// The old owner.
        from: Side,
        /// Of the hand-over.
        epoch: Epoch,
        /// Of the hand-over.
        nonce: Nonce,
    },
    /// The commit point is passed, the target not open.
    Committed {
        /// The old owner.
        from: Side,
        /// Of the hand-over.
        epoch: Epoch,
        /// Of the hand-over.
        nonce: Nonce,
    },
}

impl ObservedOwnership {
    /// Reads the two rows. `None`: they contradict each other, which no
    /// sequence of our transitions leads to.
    pub fn of_rows(monolith: &OwnerRow, service: &OwnerRow, copied: bool) -> Option<Self> {
        match (monolith.owner, service.owner) {
            (Owner::Monolith, Owner::Monolith) if !copied => Some(Self::Copying),
            // Forward: fenced, decided either way, opened.
            (Owner::Nobody, Owner::Monolith) => Some(Self::fenced(Side::Monolith, monolith)),
            (Owner::Service, Owner::Monolith) if monolith.epoch > service.epoch => {
                Some(Self::committed(Side::Monolith, monolith))
            }
            // Back: fenced, decided either way, opened.
            (Owner::Service, Owner::Nobody) => Some(Self::fenced(Side::Service, service)),
            (Owner::Service, Owner::Monolith) => Some(Self::committed(Side::Service, service)),
            // An aborted hand-over spends its epoch on one side only.
            (Owner::Monolith, Owner::Monolith) => Some(Self::Settled {
                by: Side::Monolith,
                epoch: monolith.epoch.max(service.epoch),
            }),
            (Owner::Service, Owner::Service) => Some(Self::Settled {
                by: Side::Service,
                epoch: monolith.epoch.max(service.epoch),
            }),
            (Owner::Monolith, Owner::Service | Owner::Nobody) | (Owner::Nobody, _) => None,
        }
    }

    fn fenced(from: Side, row: &OwnerRow) -> Self {
        Self::Fenced {
            from,
            epoch: row.epoch,
            nonce: row.nonce,
        }
    }

    fn committed(from: Side, row: &OwnerRow) -> Self {
        Self::Committed {
            from,
            epoch: row.epoch,
            nonce: row.nonce,
        }
    }

    /// Who owns it; `None` while a hand-over is under way.
    pub fn settled_owner(&self) -> Option<Side> {
        match self {
            Self::Copying => Some(Side::Monolith),
            Self::Settled { by, .. } => Some(*by),
            Self::Fenced { .. } | Self::Committed { .. } => None,
        }
    }

    /// The highest decision in it.
    pub fn epoch(&self) -> Epoch {
        match self {
            Self::Copying => Epoch::default(),
            Self::Settled { epoch, .. }
            | Self::Fenced { epoch, .. }
            | Self::Committed { epoch, .. } => *epoch,
        }
    }
}

/// What came of reading one side's row when a conductor started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowRead {
    /// The database did not answer.
    NoAnswer,
    /// It answered, and has no row.
    NoRow,
    /// The row.
    Row(OwnerRow),
}

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
use std::{cmp::Ordering, fmt};

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

/// What the outgoing owner's row says of a hand-over, before the new owner is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// It names the new owner, by this hand-over.
    Given,
    /// It does not, so that nothing may be opened.
    NotGiven,
    /// The row is further, or another's: the asker is out of date and must stop.
    Superseded,
}

/// What to do to the new owner's row in order to open it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Name its own side.
    Set,
    /// It does already.
    Already,
    /// The row is further: the asker is out of date and must stop.
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

    /// Whether this row, of the side that hands over, is given to the other one.
    pub fn given(&self, id: &HandoverId) -> Given {
        if self.instance != id.instance || self.epoch > id.epoch || self.is_of_another(id) {
            return Given::Superseded;
        }
        if self.epoch == id.epoch && self.owner == id.from.other().into() {
            Given::Given
        } else {
            Given::NotGiven
        }
    }

    /// The compare of the opening, on the side that is to own.
    pub fn open(&self, id: &HandoverId) -> Opening {
        match self.epoch.cmp(&id.epoch) {
            Ordering::Less => Opening::Set,
            Ordering::Equal if self.owner == id.from.other().into() => Opening::Already,
            Ordering::Equal | Ordering::Greater => Opening::Superseded,
        }
    }

    /// Whether an end that leaves the data to `keeper` takes this row away; `whose`: only
    /// that instance's.
    pub fn ends(&self, keeper: Side, whose: Option<InstanceId>) -> bool {
        self.owner == keeper.into() && whose.is_none_or(|whose| whose == self.instance)
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

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    /// A row at this epoch, which the hand-over 5 to the service has written where `own`.
    fn row(owner: Owner, epoch: u64, own: bool) -> OwnerRow {
        OwnerRow {
            owner,
            epoch: Epoch(epoch),
            generation: Generation(1),
            conductor: ConductorId(Uuid::nil()),
            instance: InstanceId(Uuid::nil()),
            nonce: Nonce(Uuid::from_u128(u128::from(own))),
        }
    }

    fn switch() -> HandoverId {
        HandoverId {
            instance: InstanceId(Uuid::nil()),
            epoch: Epoch(5),
            from: Side::Monolith,
            nonce: Nonce(Uuid::from_u128(1)),
        }
    }

    #[test]
    fn a_row_is_given_by_its_own_hand_over_alone() {
        for (owner, epoch, own, wanted) in [
            (Owner::Service, 5, true, Given::Given),
            (Owner::Nobody, 5, true, Given::NotGiven),
            (Owner::Monolith, 5, true, Given::NotGiven),
            (Owner::Service, 4, false, Given::NotGiven),
            (Owner::Service, 5, false, Given::Superseded),
            (Owner::Service, 6, false, Given::Superseded),
        ] {
            let row = row(owner, epoch, own);
            assert_eq!(row.given(&switch()), wanted, "{row:?}");
        }
        let another = OwnerRow {
            instance: InstanceId(Uuid::from_u128(2)),
            ..row(Owner::Service, 5, true)
        };
        assert_eq!(another.given(&switch()), Given::Superseded);
    }

    #[test]
    fn a_row_is_opened_once_and_never_from_behind() {
        for (owner, epoch, wanted) in [
            (Owner::Monolith, 4, Opening::Set),
            (Owner::Service, 5, Opening::Already),
            (Owner::Monolith, 5, Opening::Superseded),
            (Owner::Service, 6, Opening::Superseded),
        ] {
            assert_eq!(row(owner, epoch, true).open(&switch()), wanted);
        }
    }

    #[test]
    fn an_end_takes_the_row_of_who_keeps_the_data_and_of_no_other_life() {
        let (own, other) = (InstanceId(Uuid::nil()), InstanceId(Uuid::from_u128(2)));
        let kept = row(Owner::Service, 5, true);
        assert!(kept.ends(Side::Service, Some(own)) && kept.ends(Side::Service, None));
        assert!(!kept.ends(Side::Service, Some(other)) && !kept.ends(Side::Monolith, Some(own)));
        assert!(!row(Owner::Nobody, 5, true).ends(Side::Service, Some(own)));
    }
}

//! What the rows say when a conductor starts, held against the journal.
//!
//! [`Found`] reads the two rows together; [`reconcile`] says what has happened
//! in addition to the journal, or why nobody may go on.

use crate::{
    Epoch, InstanceId, Nonce, Side,
    handover::{Handover, Input, Reaction, Stage},
    lifecycle::{Event, Extraction, Owned, Verified},
    owner::{Owner, OwnerRow},
};
use plan::Percent;
use serde::{Deserialize, Serialize};

/// What the two rows say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "found")]
pub enum Found {
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

impl Found {
    /// Reads the two rows. `None`: they contradict each other, which no
    /// sequence of our transitions leads to.
    pub fn in_rows(monolith: &OwnerRow, service: &OwnerRow, copied: bool) -> Option<Self> {
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

    /// The highest decision in it.
    pub fn epoch(&self) -> Epoch {
        match self {
            Self::Copying => Epoch::default(),
            Self::Settled { epoch, .. }
            | Self::Fenced { epoch, .. }
            | Self::Committed { epoch, .. } => *epoch,
        }
    }

    /// The state that the rows stand for, where nothing else is known. Reads
    /// go to the owner until somebody shifts them again.
    pub(crate) fn rebuild(&self, instance: InstanceId) -> Extraction {
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
        let under_way = |from: Side, epoch: Epoch, nonce, stage| Extraction::HandingOver {
            before: owned(from, Epoch(epoch.0.saturating_sub(1))),
            handover: Handover {
                epoch,
                from,
                nonce,
                stage,
            },
        };
        match *self {
            Self::Copying => Extraction::Copying { instance },
            Self::Settled { by, epoch } => Extraction::Owned(owned(by, epoch)),
            Self::Fenced { from, epoch, nonce } => {
                let reason = "the journal was lost during it".to_owned();
                under_way(from, epoch, nonce, Stage::Undoing { reason })
            }
            Self::Committed { from, epoch, nonce } => under_way(from, epoch, nonce, Stage::Opening),
        }
    }
}

/// What was seen of one side's row when a conductor started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The database did not answer.
    Nothing,
    /// It answered, and has no row.
    NoRow,
    /// The row.
    Row(OwnerRow),
}

/// Why a conductor must not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The rows are further than the journal.
    #[error(
        "the databases are at epoch {rows}, the journal only at {journal}: another conductor has \
         been at work, or the journal is an old copy. Move the journal out of the state directory \
         to have it made again from the databases"
    )]
    RowsAhead {
        /// Of the rows.
        rows: Epoch,
        /// Of the journal.
        journal: Epoch,
    },
    /// The journal is further than the rows.
    #[error(
        "the journal is at epoch {journal}, the databases only at {rows}: a database has been \
         restored from an older backup. Nothing is routed until somebody has looked: both sides \
         may hold writes that the other has not"
    )]
    RowsBehind {
        /// Of the rows.
        rows: Epoch,
        /// Of the journal.
        journal: Epoch,
    },
    /// Another installation's.
    #[error(
        "the databases belong to instance {rows} of this extraction, the journal to {journal}: \
         use the state directory that started it, or cancel it from there"
    )]
    OtherInstance {
        /// Of the rows.
        rows: InstanceId,
        /// Of the journal.
        journal: InstanceId,
    },
    /// What is known does not say who owns.
    #[error("the {0}'s database does not answer, and without it the owner is not known")]
    Unreachable(Side),
    /// One row is missing, or both although the journal says there are some.
    #[error(
        "the {0}'s database has no ownership row, though it should: it was restored, or cancelled \
         from elsewhere. Restore it, or cancel what is left with `banyan cancel`"
    )]
    RowMissing(Side),
    /// The rows cannot both be right.
    #[error(
        "the ownership rows contradict each other (monolith's: {monolith} at {monolith_epoch}, \
         service's: {service} at {service_epoch}): one of the databases has been restored or \
         edited. Nothing is routed until they agree"
    )]
    Contradiction {
        /// The monolith's row.
        monolith: Owner,
        /// Its epoch.
        monolith_epoch: Epoch,
        /// The service's row.
        service: Owner,
        /// Its epoch.
        service_epoch: Epoch,
    },
}

/// Compares the journal's state with the rows when a conductor starts, after
/// it has claimed them. The answer is what has happened in addition.
///
/// The rows win over the journal wherever the journal can have missed the
/// reply; a journal that can *not* have led to these rows is refused. A side
/// that does not answer is done without where the other one's row decides: a
/// database that is down must not take the other side with it.
pub fn reconcile(
    journal: &Extraction,
    monolith: Seen,
    service: Seen,
    copied: bool,
) -> Result<Vec<Event>, Refusal> {
    match (monolith, service) {
        (Seen::Row(monolith), Seen::Row(service)) => both(journal, &monolith, &service, copied),
        (Seen::Nothing, _) | (_, Seen::Nothing) => one(journal, monolith, service),
        // Preparing makes the rows one by one, cancelling removes them so.
        _ if unsettled(journal) => Ok(Vec::new()),
        (Seen::NoRow, _) => Err(Refusal::RowMissing(Side::Monolith)),
        (_, Seen::NoRow) => Err(Refusal::RowMissing(Side::Service)),
    }
}

fn unsettled(journal: &Extraction) -> bool {
    matches!(
        journal,
        Extraction::Planned | Extraction::Preparing { .. } | Extraction::Cancelling { .. }
    )
}

fn both(
    journal: &Extraction,
    monolith: &OwnerRow,
    service: &OwnerRow,
    copied: bool,
) -> Result<Vec<Event>, Refusal> {
    if monolith.instance != service.instance {
        return Err(Refusal::OtherInstance {
            rows: service.instance,
            journal: monolith.instance,
        });
    }
    let found = Found::in_rows(monolith, service, copied).ok_or(Refusal::Contradiction {
        monolith: monolith.owner,
        monolith_epoch: monolith.epoch,
        service: service.owner,
        service_epoch: service.epoch,
    })?;
    let Some(instance) = journal.instance() else {
        return Ok(vec![Event::Rebuilt {
            found,
            instance: monolith.instance,
        }]);
    };
    if instance != monolith.instance {
        return Err(Refusal::OtherInstance {
            rows: monolith.instance,
            journal: instance,
        });
    }
    if unsettled(journal) {
        return Ok(Vec::new());
    }
    let (rows, known) = (found.epoch(), journal.epoch());
    if rows > known {
        return Err(Refusal::RowsAhead {
            rows,
            journal: known,
        });
    }
    match journal {
        Extraction::HandingOver { handover, .. } => Ok(restarted(handover)),
        Extraction::Owned(owned) if found_owner(&found) != Some(owned.by) => {
            Err(Refusal::RowsBehind {
                rows,
                journal: known,
            })
        }
        _ => Ok(Vec::new()),
    }
}

/// With one side's row at most. Only the side that decides is asked: the
/// owner's, a hand-over's source, the monolith's where nothing is settled.
fn one(journal: &Extraction, monolith: Seen, service: Seen) -> Result<Vec<Event>, Refusal> {
    let silent = if monolith == Seen::Nothing {
        Side::Monolith
    } else {
        Side::Service
    };
    let unknown = Err(Refusal::Unreachable(silent));
    let seen = |side| match side {
        Side::Monolith => monolith,
        Side::Service => service,
    };
    let ours = |side: Side, epoch: Epoch| {
        matches!(seen(side), Seen::Row(row)
            if Some(row.instance) == journal.instance() && row.epoch <= epoch)
    };
    match journal {
        Extraction::Owned(owned) => match seen(owned.by) {
            Seen::Row(row) if row.owner == owned.by.into() && ours(owned.by, owned.epoch) => {
                Ok(Vec::new())
            }
            _ => unknown,
        },
        Extraction::HandingOver { handover, .. } if ours(handover.from, handover.epoch) => {
            Ok(restarted(handover))
        }
        Extraction::Copying { .. } if ours(Side::Monolith, Epoch::default()) => Ok(Vec::new()),
        Extraction::Preparing { .. } | Extraction::Cancelling { .. }
            if monolith != Seen::Nothing =>
        {
            Ok(Vec::new())
        }
        Extraction::Planned if monolith == Seen::NoRow => Ok(Vec::new()),
        _ => unknown,
    }
}

/// Whatever the stage: try to abort, and believe the row.
fn restarted(handover: &Handover) -> Vec<Event> {
    match handover.decide(Input::Restarted) {
        Reaction::Steps(steps) => steps
            .into_iter()
            .map(|step| Event::HandoverStepped { step })
            .collect(),
        Reaction::Ended { outcome, reason } => vec![Event::HandoverEnded { outcome, reason }],
    }
}

fn found_owner(found: &Found) -> Option<Side> {
    match found {
        Found::Copying => Some(Side::Monolith),
        Found::Settled { by, .. } => Some(*by),
        Found::Fenced { .. } | Found::Committed { .. } => None,
    }
}

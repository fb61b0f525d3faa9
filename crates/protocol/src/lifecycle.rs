//! An extraction from its plan to its end.
//!
//! [`Extraction::decide`] says what a command leads to, [`Extraction::evolve`]
//! what an event makes of the state. The journal holds the events; the rows in
//! both databases hold the truth about ownership, and [`reconcile`] compares
//! the two whenever a conductor starts.

use crate::{
    Epoch, InstanceId, Nonce, Side,
    handover::{Handover, Input, Reaction, Stage, Step},
    owner::{Outcome, Owner, OwnerRow},
    routing::{ExtractionRouting, Writes},
};
use plan::Percent;
use serde::{Deserialize, Serialize};

/// The state of one extraction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Extraction {
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
        handover: Handover,
    },
    /// Everything of ours is being taken away.
    Cancelling {
        /// Its identity.
        instance: InstanceId,
    },
}

/// One side owns it, the other follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// Whether both sides have been proven to agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verified {
    /// Not looked yet.
    Never,
    /// They agreed, at this time of the wall clock in milliseconds.
    Agreed(u64),
    /// They differed.
    Differed,
}

/// What somebody asks of an extraction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Begin: prepare, copy, follow.
    Start {
        /// Fresh.
        instance: InstanceId,
    },
    /// Our objects exist on both sides.
    Prepared,
    /// The copy is complete and the follower goes on from it.
    Copied,
    /// A verify has ended.
    Verified(Verified),
    /// Change the share of reads.
    ShiftReads(Percent),
    /// Hand over to this side.
    HandOver {
        /// The new owner.
        to: Side,
        /// Fresh.
        nonce: Nonce,
    },
    /// Something for the hand-over under way.
    Handover(Input),
    /// End it without a trace.
    Cancel,
    /// Everything of ours is gone.
    Cancelled,
}

/// What has happened to an extraction. Persisted: never edited; a changed
/// meaning is a new variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// It began.
    Started {
        /// Its identity.
        instance: InstanceId,
    },
    /// Our objects exist on both sides.
    Prepared,
    /// The copy is complete.
    Copied,
    /// A verify ended.
    Verified {
        /// With this.
        result: Verified,
    },
    /// The share of reads changed.
    ReadsShifted {
        /// To this, in hundredths of a percent.
        reads: Percent,
    },
    /// A hand-over began.
    HandoverBegan {
        /// Its epoch.
        epoch: Epoch,
        /// The owner until its commit point.
        from: Side,
        /// Its nonce.
        nonce: Nonce,
    },
    /// It went on.
    HandoverStepped {
        /// By this.
        step: Step,
    },
    /// It ended.
    HandoverEnded {
        /// How.
        outcome: Outcome,
        /// Why, when aborted.
        reason: Option<String>,
    },
    /// Cancelling began.
    CancelBegan,
    /// It was cancelled.
    Cancelled,
    /// The journal was lost and made again from the rows.
    Rebuilt {
        /// What the rows said.
        found: Found,
        /// Their instance.
        instance: InstanceId,
    },
}

/// A command that cannot be carried out now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The state does not allow it.
    #[error("it is {state}. {remedy}")]
    WrongState {
        /// The state's name.
        state: &'static str,
        /// What to do instead.
        remedy: &'static str,
    },
    /// The side owns it already.
    #[error("the {0} owns it already")]
    OwnsAlready(Side),
    /// It cannot be cancelled any more.
    #[error("the service owns it; roll back first: `banyan rollback`")]
    Switched,
}

impl Extraction {
    /// What a command leads to.
    pub fn decide(&self, command: Command) -> Result<Vec<Event>, Rejection> {
        match (self, command) {
            (Self::Planned, Command::Start { instance }) => Ok(vec![Event::Started { instance }]),
            (Self::Preparing { .. }, Command::Prepared) => Ok(vec![Event::Prepared]),
            (Self::Copying { .. }, Command::Copied) => Ok(vec![Event::Copied]),
            (Self::Owned(_), Command::Verified(result)) => Ok(vec![Event::Verified { result }]),
            (Self::Owned(_), Command::ShiftReads(reads)) => Ok(vec![Event::ReadsShifted { reads }]),
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
            (Self::HandingOver { handover, .. }, Command::Handover(input)) => {
                Ok(match handover.decide(input) {
                    Reaction::Steps(steps) => steps
                        .into_iter()
                        .map(|step| Event::HandoverStepped { step })
                        .collect(),
                    Reaction::Ended { outcome, reason } => {
                        vec![Event::HandoverEnded { outcome, reason }]
                    }
                })
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

    fn rejection(&self) -> Rejection {
        let remedy = match self {
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
                    handover: Handover::new(*epoch, *from, *nonce),
                }
            }
            (Self::HandingOver { before, handover }, Event::HandoverStepped { step }) => {
                Self::HandingOver {
                    before,
                    handover: handover.evolve(step),
                }
            }
            (Self::HandingOver { before, handover }, Event::HandoverEnded { outcome, .. }) => {
                Self::Owned(ended(before, &handover, *outcome))
            }
            (
                Self::Preparing { instance }
                | Self::Copying { instance }
                | Self::Owned(Owned { instance, .. }),
                Event::CancelBegan,
            ) => Self::Cancelling { instance },
            (Self::Cancelling { .. }, Event::Cancelled) => Self::Planned,
            (_, Event::Rebuilt { found, instance }) => found.rebuild(*instance),
            (state, _) => state,
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
            Self::HandingOver {
                before: Owned {
                    by: Side::Monolith, ..
                },
                ..
            } => "switching",
            Self::HandingOver { .. } => "rolling-back",
            Self::Cancelling { .. } => "cancelling",
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
            | Self::Cancelling { instance } => Some(*instance),
            Self::Owned(owned) | Self::HandingOver { before: owned, .. } => Some(owned.instance),
        }
    }

    /// The last decision that this state knows of, one under way included.
    pub fn epoch(&self) -> Epoch {
        match self {
            Self::Owned(owned) => owned.epoch,
            Self::HandingOver { handover, .. } => handover.epoch,
            _ => Epoch::default(),
        }
    }

    /// What the gateways are told.
    pub fn routing(&self) -> ExtractionRouting {
        let to = |side, epoch, reads| ExtractionRouting {
            epoch,
            writes: Writes::To(side),
            reads,
        };
        match self {
            // The service has nothing yet.
            Self::Planned
            | Self::Preparing { .. }
            | Self::Copying { .. }
            | Self::Cancelling { .. } => to(Side::Monolith, Epoch::default(), Percent::ZERO),
            Self::Owned(owned) => to(owned.by, owned.epoch, owned.reads),
            Self::HandingOver { before, handover } if handover.holds() => ExtractionRouting {
                epoch: handover.epoch,
                writes: Writes::Hold {
                    from: handover.from,
                },
                reads: before.reads,
            },
            Self::HandingOver { before, .. } => to(before.by, before.epoch, before.reads),
        }
    }
}

fn ended(before: Owned, handover: &Handover, outcome: Outcome) -> Owned {
    match outcome {
        // The epoch is spent either way: the next hand-over takes a new one.
        Outcome::Aborted => Owned {
            epoch: handover.epoch,
            ..before
        },
        Outcome::Committed => Owned {
            by: handover.to(),
            epoch: handover.epoch,
            verified: Verified::Never,
            ..before
        },
    }
}

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
    fn rebuild(&self, instance: InstanceId) -> Extraction {
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

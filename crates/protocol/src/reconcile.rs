//! What the rows say when a conductor starts, held against the journal.
//!
//! [`ObservedOwnership`] reads the two rows together; [`reconcile`] says what has
//! happened in addition to the journal, or why nobody may go on.

use crate::{
    ConductorId, Epoch, Generation, InstanceId, Side,
    handover::{Input, Stage, Step},
    lifecycle::{Event, Lifecycle, UnderWay},
    owner::{ObservedOwnership, Owner, OwnerRow, RowRead},
};

/// Why a conductor must not go on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
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
    /// The rows are as far as the journal, by another hand-over.
    #[error(
        "the {side}'s row came to epoch {epoch} by another hand-over than the journal knows of: \
         another conductor has been at work, or the journal is an old copy. Move the journal out \
         of the state directory to have it made again from the databases"
    )]
    OtherHandover {
        /// Whose row.
        side: Side,
        /// Of both.
        epoch: Epoch,
    },
    /// Somebody else has claimed a row since the journal was written.
    #[error(
        "the {side}'s row was claimed last by conductor {conductor} (generation {generation}), \
         which is none of this state directory's: another `banyan serve` has been at work since. \
         Use the state directory that it used; if that one is lost, move \
         journal.db out of this one, to have it made again from the databases"
    )]
    OtherConductor {
        /// Whose row.
        side: Side,
        /// Who claimed it.
        conductor: ConductorId,
        /// The row's generation.
        generation: Generation,
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
         from elsewhere. Restore it; or, where it was cancelled, move journal.db out of this state \
         directory"
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

/// Refuses rows that a conductor has claimed of which the journal does not know,
/// before anything is claimed. Every conductor is written down in its journal
/// before it claims, so such a journal is old. One that knows of no conductor is
/// new, or was begun before they were written down, and says nothing.
pub fn recognise(
    known: &[ConductorId],
    monolith: RowRead,
    service: RowRead,
) -> Result<(), Refusal> {
    if known.is_empty() {
        return Ok(());
    }
    for (side, read) in [(Side::Monolith, monolith), (Side::Service, service)] {
        if let RowRead::Row(row) = read
            && !known.contains(&row.conductor)
        {
            return Err(Refusal::OtherConductor {
                side,
                conductor: row.conductor,
                generation: row.generation,
            });
        }
    }
    Ok(())
}

/// Compares the journal's state with the rows when a conductor starts, before
/// and after it has claimed them. The answer is what has happened in addition.
///
/// The rows win over the journal wherever the journal can have missed the
/// reply; a journal that can *not* have led to these rows is refused. A side
/// that does not answer is done without where the other one's row decides: a
/// database that is down must not take the other side with it.
pub fn reconcile(
    journal: &Lifecycle,
    monolith: RowRead,
    service: RowRead,
    copied: bool,
) -> Result<Vec<Event>, Refusal> {
    not_further(journal, [monolith, service])?;
    match (monolith, service) {
        (RowRead::Row(monolith), RowRead::Row(service)) => {
            both(journal, &monolith, &service, copied)
        }
        (RowRead::NoAnswer, _) | (_, RowRead::NoAnswer) => one(journal, monolith, service),
        // Preparing makes the rows one by one, cancelling and finishing remove
        // them so.
        _ if unsettled(journal) => Ok(Vec::new()),
        (RowRead::NoRow, _) => Err(Refusal::RowMissing(Side::Monolith)),
        (_, RowRead::NoRow) => Err(Refusal::RowMissing(Side::Service)),
    }
}

/// Refuses rows that are further than a journal without an epoch of its own can have
/// led to. Rows are made at epoch 0 and stay there until the copy is complete, and a
/// cancel begins while the monolith owns, and nothing is handed over after that: such a
/// journal is an old copy, or another conductor has been at work.
fn not_further(journal: &Lifecycle, rows: [RowRead; 2]) -> Result<(), Refusal> {
    let is_further = |row: &OwnerRow| match journal {
        Lifecycle::Preparing { .. } => row.epoch > journal.epoch(),
        Lifecycle::Cancelling { .. } => row.owner != Owner::Monolith,
        _ => false,
    };
    let rows = rows.iter().filter_map(|read| match read {
        RowRead::Row(row) if is_further(row) => Some(row.epoch),
        _ => None,
    });
    rows.max().map_or(Ok(()), |rows| {
        Err(Refusal::RowsAhead {
            rows,
            journal: journal.epoch(),
        })
    })
}

fn unsettled(journal: &Lifecycle) -> bool {
    matches!(
        journal,
        Lifecycle::Planned
            | Lifecycle::Preparing { .. }
            | Lifecycle::Cancelling { .. }
            | Lifecycle::Finishing(_)
            | Lifecycle::Finished(_)
    )
}

fn both(
    journal: &Lifecycle,
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
    let observed =
        ObservedOwnership::of_rows(monolith, service, copied).ok_or(Refusal::Contradiction {
            monolith: monolith.owner,
            monolith_epoch: monolith.epoch,
            service: service.owner,
            service_epoch: service.epoch,
        })?;
    let Some(instance) = journal.instance() else {
        return Ok(vec![Event::Rebuilt {
            observed,
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
    let (rows, known) = (observed.epoch(), journal.epoch());
    if rows > known {
        return Err(Refusal::RowsAhead {
            rows,
            journal: known,
        });
    }
    match journal {
        Lifecycle::HandingOver { handover, .. } => {
            let source = match handover.from() {
                Side::Monolith => monolith,
                Side::Service => service,
            };
            restarted(handover, Some(source))
        }
        Lifecycle::Owned(owned) if observed.settled_owner() != Some(owned.by) => {
            Err(if rows < known {
                Refusal::RowsBehind {
                    rows,
                    journal: known,
                }
            } else {
                Refusal::OtherHandover {
                    side: owned.by,
                    epoch: known,
                }
            })
        }
        _ => Ok(Vec::new()),
    }
}

/// With one side's row at most. Only the side that decides is asked: the
/// owner's, a hand-over's source, the monolith's where nothing is settled.
fn one(journal: &Lifecycle, monolith: RowRead, service: RowRead) -> Result<Vec<Event>, Refusal> {
    let silent = if monolith == RowRead::NoAnswer {
        Side::Monolith
    } else {
        Side::Service
    };
    let unknown = Err(Refusal::Unreachable(silent));
    let read = |side| match side {
        Side::Monolith => monolith,
        Side::Service => service,
    };
    let ours = |side: Side, epoch: Epoch| {
        matches!(read(side), RowRead::Row(row)
            if Some(row.instance) == journal.instance() && row.epoch <= epoch)
    };
    match journal {
        Lifecycle::Owned(owned) => match read(owned.by) {
            RowRead::Row(row) if row.owner == owned.by.into() && ours(owned.by, owned.epoch) => {
                Ok(Vec::new())
            }
            _ => unknown,
        },
        Lifecycle::HandingOver { handover, .. } if ours(handover.from(), handover.epoch()) => {
            let source = match read(handover.from()) {
                RowRead::Row(row) => Some(row),
                RowRead::NoAnswer | RowRead::NoRow => None,
            };
            restarted(handover, source.as_ref())
        }
        Lifecycle::Copying { .. } if ours(Side::Monolith, Epoch::default()) => Ok(Vec::new()),
        Lifecycle::Preparing { .. } | Lifecycle::Cancelling { .. }
            if monolith != RowRead::NoAnswer =>
        {
            Ok(Vec::new())
        }
        Lifecycle::Planned if monolith == RowRead::NoRow => Ok(Vec::new()),
        // The service's, whatever the databases still say.
        Lifecycle::Finishing(_) | Lifecycle::Finished(_) => Ok(Vec::new()),
        _ => unknown,
    }
}

/// Whatever the stage: try to abort, and believe the row. Nothing has been asked of the
/// row by a journal that says so; one that knows of the decision all the same has had it
/// from another conductor, and says how it ended.
fn restarted(handover: &UnderWay, source: Option<&OwnerRow>) -> Result<Vec<Event>, Refusal> {
    let (epoch, side) = (handover.epoch(), handover.from());
    let known = source.filter(|row| row.epoch == epoch);
    if known.is_some_and(|row| row.nonce != handover.nonce()) {
        return Err(Refusal::OtherHandover { side, epoch });
    }
    if *handover.stage() == Stage::Readying && known.is_some() {
        let reason = "another conductor went on with it".to_owned();
        let step = Step::AbortChosen { reason };
        return Ok(vec![Event::HandoverStepped { step }]);
    }
    Ok(Event::of_transition(handover.decide(Input::Restarted)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Nonce, lifecycle::Command, owner::Outcome};
    use uuid::Uuid;

    const INSTANCE: InstanceId = InstanceId(Uuid::from_u128(1));
    const NONCE: Nonce = Nonce(Uuid::from_u128(2));

    fn row(owner: Owner, epoch: u64) -> RowRead {
        RowRead::Row(OwnerRow {
            owner,
            epoch: Epoch(epoch),
            generation: Generation(2),
            conductor: ConductorId(Uuid::from_u128(3)),
            instance: INSTANCE,
            nonce: NONCE,
        })
    }

    fn journal(events: &[Event]) -> Lifecycle {
        events.iter().fold(Lifecycle::Planned, Lifecycle::evolve)
    }

    const STARTED: Event = Event::Started { instance: INSTANCE };

    /// An old copy of a journal, in a state that has no epoch of its own.
    #[test]
    fn rows_of_another_conductor_are_no_preparation() {
        let preparing = journal(&[STARTED]);
        let fresh = row(Owner::Monolith, 0);
        assert_eq!(reconcile(&preparing, fresh, fresh, false), Ok(vec![]));
        assert_eq!(
            reconcile(&preparing, fresh, RowRead::NoRow, false),
            Ok(vec![])
        );
        let ahead = Err(Refusal::RowsAhead {
            rows: Epoch(1),
            journal: Epoch(0),
        });
        for (monolith, service) in [
            (row(Owner::Service, 1), row(Owner::Service, 1)),
            (row(Owner::Nobody, 1), fresh),
            (row(Owner::Monolith, 1), fresh),
            (row(Owner::Service, 1), RowRead::NoAnswer),
            (row(Owner::Monolith, 1), RowRead::NoRow),
        ] {
            assert_eq!(reconcile(&preparing, monolith, service, true), ahead);
        }
    }

    #[test]
    fn what_another_conductor_has_switched_is_not_cancelled() {
        let cancelling = journal(&[STARTED, Event::Prepared, Event::Copied, Event::CancelBegan]);
        let (fresh, after) = (row(Owner::Monolith, 0), row(Owner::Monolith, 2));
        for (monolith, service) in [
            (fresh, fresh),
            (after, row(Owner::Monolith, 1)),
            (after, RowRead::NoRow),
            (RowRead::NoRow, RowRead::NoRow),
        ] {
            assert_eq!(reconcile(&cancelling, monolith, service, true), Ok(vec![]));
        }
        for (monolith, service) in [
            (row(Owner::Nobody, 1), fresh),
            (row(Owner::Service, 1), fresh),
            (row(Owner::Service, 1), row(Owner::Service, 1)),
            (row(Owner::Nobody, 1), RowRead::NoAnswer),
        ] {
            assert!(matches!(
                reconcile(&cancelling, monolith, service, true),
                Err(Refusal::RowsAhead { .. })
            ));
        }
    }

    /// The row knows of a decision of which the journal has asked it nothing: it is not
    /// taken for undone.
    #[test]
    fn a_hand_over_that_another_conductor_went_on_with_is_asked_for() {
        let began = Event::HandoverBegan {
            epoch: Epoch(1),
            from: Side::Monolith,
            nonce: NONCE,
        };
        let readying = journal(&[STARTED, Event::Prepared, Event::Copied, began]);
        let (fresh, given) = (row(Owner::Monolith, 0), row(Owner::Service, 1));
        let undone = reconcile(&readying, fresh, fresh, true).unwrap();
        assert!(matches!(undone[..], [Event::HandoverEnded { .. }]));
        for (monolith, service) in [(given, fresh), (given, given), (given, RowRead::NoAnswer)] {
            let events = reconcile(&readying, monolith, service, true).unwrap();
            let state = events.iter().fold(readying.clone(), Lifecycle::evolve);
            let decided = Command::Handover(Input::Decided(Outcome::Committed));
            let events = state.decide(decided).unwrap();
            let state = events.iter().fold(state, Lifecycle::evolve);
            let opened = state.decide(Command::Handover(Input::Opened)).unwrap();
            let state = opened.iter().fold(state, Lifecycle::evolve);
            assert_eq!(state.owned().map(|owned| owned.by), Some(Side::Service));
        }
    }

    /// Two conductors have each given the same epoch to a hand-over of their own.
    #[test]
    fn a_decision_of_another_hand_over_is_not_taken_for_ones_own() {
        for began in [
            Event::RehearsalBegan {
                epoch: Epoch(1),
                from: Side::Monolith,
                nonce: Nonce(Uuid::from_u128(9)),
            },
            Event::HandoverBegan {
                epoch: Epoch(1),
                from: Side::Monolith,
                nonce: Nonce(Uuid::from_u128(9)),
            },
        ] {
            let readying = journal(&[STARTED, Event::Prepared, Event::Copied, began]);
            let (fresh, given) = (row(Owner::Monolith, 0), row(Owner::Service, 1));
            let refused = Err(Refusal::OtherHandover {
                side: Side::Monolith,
                epoch: Epoch(1),
            });
            for (monolith, service) in [
                (given, fresh),
                (given, RowRead::NoAnswer),
                (row(Owner::Nobody, 1), fresh),
            ] {
                assert_eq!(reconcile(&readying, monolith, service, true), refused);
            }
            assert!(reconcile(&readying, fresh, fresh, true).is_ok());
        }
    }
}

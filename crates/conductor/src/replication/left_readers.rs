//! Readers that a rollback has left at the service: it hands the writes back, and readers
//! stay where they are. Those that somebody shifts there afterwards are there on purpose.

use plan::Percent;
use protocol::{
    Side,
    lifecycle::{Event, Lifecycle},
    owner::Outcome,
};

/// Whether a rollback has left some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct LeftReaders(pub(super) bool);

impl LeftReaders {
    /// What the journal says.
    pub(super) fn of(history: &[Event]) -> Self {
        let begin = (Lifecycle::Planned, Self::default());
        let (_, left) = history.iter().fold(begin, |(lifecycle, left), event| {
            let lifecycle = lifecycle.evolve(event);
            let left = left.evolve(event, &lifecycle);
            (lifecycle, left)
        });
        left
    }

    /// After an event, which led to this state.
    pub(super) fn evolve(self, event: &Event, lifecycle: &Lifecycle) -> Self {
        match event {
            Event::HandoverEnded {
                outcome: Outcome::Committed,
                ..
            } => {
                let owned = lifecycle.owned();
                Self(
                    owned.is_some_and(|owned| {
                        owned.by == Side::Monolith && owned.reads > Percent::ZERO
                    }),
                )
            }
            Event::ReadsShifted { .. } | Event::Rebuilt { .. } | Event::Cancelled => Self(false),
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{Epoch, InstanceId, Nonce};
    use uuid::Uuid;

    fn shifted(share: &str) -> Event {
        Event::ReadsShifted {
            reads: Percent::parse(share).unwrap(),
        }
    }

    fn handed_over(epoch: u64, from: Side, outcome: Outcome) -> [Event; 2] {
        [
            Event::HandoverBegan {
                epoch: Epoch(epoch),
                from,
                nonce: Nonce(Uuid::nil()),
            },
            Event::HandoverEnded {
                outcome,
                reason: None,
            },
        ]
    }

    #[test]
    fn a_rollback_leaves_them_until_somebody_shifts() {
        let started = Event::Started {
            instance: InstanceId(Uuid::nil()),
        };
        let there = |share| {
            vec![
                started.clone(),
                Event::Prepared,
                Event::Copied,
                shifted(share),
            ]
        };
        let back_and_forth = || {
            let switch = handed_over(1, Side::Monolith, Outcome::Committed);
            let rollback = handed_over(2, Side::Service, Outcome::Committed);
            switch.into_iter().chain(rollback)
        };
        let of = |events: &[Event]| LeftReaders::of(events).0;
        let mut life = there("20%");
        assert!(!of(&life));
        life.extend(back_and_forth());
        assert!(of(&life));
        let mut none = there("0%");
        none.extend(back_and_forth());
        assert!(!of(&none), "there were none");
        let mut aborted = life.clone();
        aborted.extend(handed_over(3, Side::Monolith, Outcome::Aborted));
        assert!(of(&aborted), "it has changed nothing");
        let mut switched = life.clone();
        switched.extend(handed_over(3, Side::Monolith, Outcome::Committed));
        assert!(!of(&switched));
        for share in ["0%", "5%"] {
            life.push(shifted(share));
            assert!(!of(&life), "somebody wants {share}");
        }
    }
}

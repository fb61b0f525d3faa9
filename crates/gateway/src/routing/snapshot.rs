//! The routing in use: immutable, swapped whole.

use super::life::Life;
use crate::base::index::ExtractionIndex;
use plan::{Data, ExtractionName, Percent};
use protocol::{
    Epoch, Side,
    routing::{ExtractionRouting, Routing, Writes},
};

/// Who owns, and since which decision. A write that was sent under another
/// ownership needs no pin any more: whoever took over had caught up first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Ownership {
    pub(crate) side: Side,
    pub(crate) since: Epoch,
}

/// What is known of an extraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RoutingState {
    /// Nothing was ever published.
    Unknown,
    /// It was published, but no owner was named so far.
    Ownerless(ExtractionRouting),
    /// As published, and who owns now or owned last.
    Owned(ExtractionRouting, Ownership),
    /// As published: both sides may write, and this share does at the service.
    SharedData {
        routing: ExtractionRouting,
        writes: Percent,
    },
}

/// A routing, as far as it goes with the plan: a share of the writes is only for
/// data that both sides share, an owner only for others. What does not go
/// together is refused, whoever says it.
fn fitting(routing: ExtractionRouting, data: &Data) -> ExtractionRouting {
    match (routing.writes, data) {
        (Writes::Refuse, _)
        | (Writes::Split(_), Data::Shared)
        | (Writes::To(_) | Writes::Hold { .. }, Data::Replicate(_)) => routing,
        _ => ExtractionRouting {
            writes: Writes::Refuse,
            ..routing
        },
    }
}

impl RoutingState {
    /// The routing state after a publication. An older epoch changes nothing; an
    /// extraction that is no longer published has no known owner.
    pub(crate) fn after(self, published: Option<ExtractionRouting>) -> Self {
        let published = match (published, self.routing()) {
            (Some(new), Some(current)) if new.epoch < current.epoch => return self,
            (Some(new), _) => new,
            (None, Some(current)) => ExtractionRouting {
                writes: Writes::Refuse,
                ..current
            },
            (None, None) => return self,
        };
        let side = match published.writes {
            Writes::To(side) | Writes::Hold { from: side } => Some(side),
            Writes::Refuse => None,
            Writes::Split(writes) => {
                let routing = published;
                return Self::SharedData { routing, writes };
            }
        };
        match (side, self.ownership()) {
            (Some(side), Some(last)) if last.side == side => Self::Owned(published, last),
            (Some(side), _) => Self::Owned(
                published,
                Ownership {
                    side,
                    since: published.epoch,
                },
            ),
            (None, Some(last)) => Self::Owned(published, last),
            (None, None) => Self::Ownerless(published),
        }
    }

    pub(crate) fn routing(self) -> Option<ExtractionRouting> {
        match self {
            Self::Unknown => None,
            Self::Ownerless(routing)
            | Self::Owned(routing, _)
            | Self::SharedData { routing, .. } => Some(routing),
        }
    }

    /// Who owns now, or owned last; nobody where data are shared.
    pub(crate) fn ownership(self) -> Option<Ownership> {
        match self {
            Self::Unknown | Self::Ownerless(_) | Self::SharedData { .. } => None,
            Self::Owned(_, ownership) => Some(ownership),
        }
    }

    /// Who owns, and a decision under which that is so for sure: none while a
    /// hand-over is under way, of which the outcome is not known. With the life.
    pub(crate) fn decided(self) -> Option<(Side, Life, Epoch)> {
        let routing = self.routing()?;
        match routing.writes {
            Writes::To(side) => Some((side, Life::of(routing), routing.epoch)),
            _ => None,
        }
    }

    /// Whether writes are held.
    pub(crate) fn holds(self) -> bool {
        self.routing()
            .is_some_and(|routing| matches!(routing.writes, Writes::Hold { .. }))
    }

    /// Whether writes are forwarded.
    pub(crate) fn forwards(self) -> bool {
        self.routing()
            .is_some_and(|routing| matches!(routing.writes, Writes::To(_) | Writes::Split(_)))
    }

    /// Whether a routing of at least this epoch is in use.
    pub(crate) fn has_reached(self, epoch: Epoch) -> bool {
        self.routing().is_some_and(|routing| routing.epoch >= epoch)
    }
}

/// The routing state of every extraction of a table.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    routing_states: Vec<RoutingState>,
    /// Whether a service owns anything: only then can a route that stays have
    /// to wait.
    some_service_owns: bool,
}

impl Snapshot {
    /// Of so many extractions.
    pub(crate) fn empty(extractions: usize) -> Self {
        Self::of(vec![RoutingState::Unknown; extractions])
    }

    fn of(routing_states: Vec<RoutingState>) -> Self {
        let owns = |routing_state: &RoutingState| {
            routing_state
                .ownership()
                .is_some_and(|owner| owner.side == Side::Service)
        };
        Self {
            some_service_owns: routing_states.iter().any(owns),
            routing_states,
        }
    }

    /// The snapshot after a publication, of the extractions in their order.
    pub(crate) fn after<'a>(
        &self,
        all: impl Iterator<Item = (&'a ExtractionName, &'a Data)>,
        routing: &Routing,
    ) -> Self {
        let routing_state = |(before, (name, data)): (&RoutingState, (&ExtractionName, &Data))| {
            let published = routing.extractions.get(name).copied();
            before.after(published.map(|routing| fitting(routing, data)))
        };
        Self::of(
            self.routing_states
                .iter()
                .zip(all)
                .map(routing_state)
                .collect(),
        )
    }

    pub(crate) fn routing_state(&self, extraction: ExtractionIndex) -> RoutingState {
        self.routing_states[extraction.get()]
    }

    pub(crate) fn some_service_owns(&self) -> bool {
        self.some_service_owns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routing(epoch: u64, writes: Writes) -> ExtractionRouting {
        ExtractionRouting {
            instance: None,
            epoch: Epoch(epoch),
            writes,
            reads: Percent::ZERO,
            follows: true,
        }
    }

    fn published(sequence: &[ExtractionRouting]) -> RoutingState {
        sequence
            .iter()
            .fold(RoutingState::Unknown, |routing_state, next| {
                routing_state.after(Some(*next))
            })
    }

    const TO_MONOLITH: Writes = Writes::To(Side::Monolith);
    const TO_SERVICE: Writes = Writes::To(Side::Service);
    const HOLD: Writes = Writes::Hold {
        from: Side::Monolith,
    };

    #[test]
    fn an_older_epoch_changes_nothing() {
        let current = published(&[routing(2, TO_SERVICE)]);
        assert_eq!(current.after(Some(routing(1, TO_MONOLITH))), current);
        assert_ne!(current.after(Some(routing(2, HOLD))), current);
    }

    #[test]
    fn ownership_lasts_through_an_aborted_hand_over() {
        let since = |sequence: &[_]| published(sequence).ownership().unwrap().since;
        let aborted = [
            routing(1, TO_MONOLITH),
            routing(2, HOLD),
            routing(2, TO_MONOLITH),
        ];
        assert_eq!(since(&aborted), Epoch(1));
        let refused = [
            routing(1, TO_MONOLITH),
            routing(2, Writes::Refuse),
            routing(3, HOLD),
        ];
        assert_eq!(since(&refused), Epoch(1));
        let switched = [
            routing(1, TO_MONOLITH),
            routing(2, HOLD),
            routing(2, TO_SERVICE),
        ];
        assert_eq!(since(&switched), Epoch(2));
    }

    #[test]
    fn what_is_no_longer_published_is_refused_but_not_forgotten() {
        let gone = published(&[routing(3, TO_SERVICE)]).after(None);
        assert!(!gone.forwards());
        assert_eq!(gone.after(Some(routing(2, TO_SERVICE))), gone);
        assert!(gone.after(Some(routing(3, TO_SERVICE))).forwards());
        assert_eq!(RoutingState::Unknown.after(None), RoutingState::Unknown);
    }

    #[test]
    fn a_share_of_writes_is_only_for_data_that_both_sides_share() {
        let name = ExtractionName::new("auth").unwrap();
        let plan = |data: &str| {
            let text = format!(
                r#"
monolith: {{ url: "http://127.0.0.1:1", database: "postgres://u@127.0.0.1:2/m" }}
services:
  a: {{ url: "http://127.0.0.1:3", database: "postgres://u@127.0.0.1:4/a" }}
gateway: {{ listen: "127.0.0.1:0" }}
extractions:
  auth: {{ service: a, routes: [{{ path: /auth }}], data: {{ {data} }} }}
"#
            );
            let mut plan = plan::Plan::parse(&text, |_| None).unwrap();
            plan.extractions.remove(&name).unwrap().data
        };
        let shared = plan("mode: shared");
        let moved = plan("mode: replicate, schema: s, tables: { public.t: {} }");
        let split = Writes::Split(Percent::ALL);
        for (writes, data, forwards) in [
            (split, &shared, true),
            (split, &moved, false),
            (TO_MONOLITH, &moved, true),
            (TO_SERVICE, &shared, false),
            (HOLD, &shared, false),
        ] {
            let extractions = [(name.clone(), routing(1, writes))].into();
            let all = std::iter::once((&name, data));
            let snapshot = Snapshot::empty(1).after(all, &Routing { extractions });
            let routing_state = snapshot.routing_state(ExtractionIndex::new(0));
            assert_eq!(routing_state.forwards(), forwards, "{writes:?} {data:?}");
            assert!(!routing_state.holds());
        }
    }
}

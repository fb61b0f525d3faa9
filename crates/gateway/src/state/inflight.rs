//! Writes on their way to an upstream, one ledger per worker.
//!
//! Between looking at the routing and entering a write here there is no await,
//! and `drained` is answered on the worker's own thread. So a write that was
//! decided under an old routing is either in the ledger when the question
//! comes, or looks at the new routing.

use super::gateway_state::GatewayState;
use crate::{
    base::index::{ExtractionIndex, RouteIndex},
    routing::{life::Life, snapshot::RoutingState},
};
use protocol::Epoch;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// Writes in flight by the epoch that they were decided in and the order in which
/// they were entered.
type ByEpoch = BTreeMap<(Epoch, u64), Sent>;

/// When a write was entered, and by which of its extraction's routes it came.
#[derive(Debug, Clone, Copy)]
struct Sent {
    at: Instant,
    route: usize,
}

/// How many writes are in flight, and the one that has been the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InFlight {
    pub(crate) count: usize,
    pub(crate) longest: Duration,
    /// The route of the longest.
    pub(crate) route: usize,
}

/// The writes of an extraction that are in flight, over all workers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WritesInFlight {
    /// How many.
    pub count: usize,
    /// For how long the longest of them has been.
    pub longest_for: Duration,
    /// The route that it came by; `None`: there is none in flight.
    pub longest: Option<String>,
}

/// A question that waits for its answer.
struct Question {
    extraction: ExtractionIndex,
    epoch: Epoch,
    drained: oneshot::Sender<()>,
}

/// The writes in flight of one worker, and who waits for their end.
pub(crate) struct Inflight {
    state: Arc<GatewayState>,
    writes: RefCell<Vec<ByEpoch>>,
    entered: Cell<u64>,
    questions: RefCell<Vec<Question>>,
}

/// A write in flight; dropping it ends it.
pub(crate) struct Flight {
    inflight: Rc<Inflight>,
    route: RouteIndex,
    life: Life,
    epoch: Epoch,
    number: u64,
}

impl Inflight {
    pub(crate) fn new(state: Arc<GatewayState>) -> Rc<Self> {
        let writes = RefCell::new(vec![ByEpoch::new(); state.all().count()]);
        Rc::new(Self {
            state,
            writes,
            entered: Cell::default(),
            questions: RefCell::default(),
        })
    }

    /// Enters a write that `routing_state` lets pass.
    pub(crate) fn enter(self: &Rc<Self>, route: RouteIndex, routing_state: RoutingState) -> Flight {
        let routing = routing_state.routing();
        let epoch = routing.map(|routing| routing.epoch).unwrap_or_default();
        let number = self.entered.get();
        self.entered.set(number + 1);
        let sent = Sent {
            at: Instant::now(),
            route: route.route,
        };
        let mut writes = self.writes.borrow_mut();
        writes[route.extraction.get()].insert((epoch, number), sent);
        Flight {
            inflight: Rc::clone(self),
            life: routing.map(Life::of).unwrap_or_default(),
            route,
            epoch,
            number,
        }
    }

    /// What is in flight of an extraction; `None`: nothing.
    pub(crate) fn report(&self, extraction: ExtractionIndex) -> Option<InFlight> {
        let writes = self.writes.borrow();
        let writes = &writes[extraction.get()];
        let oldest = writes.values().min_by_key(|sent| sent.at)?;
        Some(InFlight {
            count: writes.len(),
            longest: oldest.at.elapsed(),
            route: oldest.route,
        })
    }

    /// Says when an extraction has drained for `epoch`. Questions whose asker
    /// has gone are forgotten.
    pub(crate) fn ask(
        &self,
        extraction: ExtractionIndex,
        epoch: Epoch,
        drained: oneshot::Sender<()>,
    ) {
        let mut questions = self.questions.borrow_mut();
        questions.push(Question {
            extraction,
            epoch,
            drained,
        });
        drop(questions);
        self.answer();
    }

    /// Answers what can be answered: after a change of the routing or the end
    /// of a write.
    pub(crate) fn answer(&self) {
        let mut questions = self.questions.borrow_mut();
        if questions.is_empty() {
            return;
        }
        let snapshot = self.state.snapshot.load();
        let writes = self.writes.borrow();
        let pending = |question: &Question| {
            let routing_state = snapshot.routing_state(question.extraction);
            let writes = &writes[question.extraction.get()];
            !question.drained.is_closed() && !is_drained(routing_state, writes, question.epoch)
        };
        for question in questions.extract_if(.., |question| !pending(question)) {
            // Receiver dropped: the caller of `drained` has given up.
            let _ = question.drained.send(());
        }
    }
}

/// Whether a worker with these writes in flight has drained for an epoch.
fn is_drained(routing_state: RoutingState, writes: &ByEpoch, epoch: Epoch) -> bool {
    if !routing_state.has_reached(epoch) {
        return false;
    }
    // While nothing is forwarded, what is in flight is from before, whatever
    // its epoch.
    if routing_state.forwards() {
        writes.range(..(epoch, 0)).next().is_none()
    } else {
        writes.is_empty()
    }
}

impl Flight {
    /// The route that it came by.
    pub(crate) fn route(&self) -> RouteIndex {
        self.route
    }

    /// The decision under which it was sent.
    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The life that it belongs to.
    pub(crate) fn life(&self) -> Life {
        self.life
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        {
            let mut writes = self.inflight.writes.borrow_mut();
            writes[self.route.extraction.get()].remove(&(self.epoch, self.number));
        }
        self.inflight.answer();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::Percent;
    use protocol::{
        Side,
        routing::{ExtractionRouting, Writes},
    };

    fn routing_state(epoch: u64, writes: Writes) -> RoutingState {
        let reads = Percent::ZERO;
        RoutingState::Unknown.after(Some(ExtractionRouting {
            instance: None,
            epoch: Epoch(epoch),
            writes,
            reads,
            follows: true,
        }))
    }

    #[test]
    fn drained_means_that_nothing_older_is_in_flight() {
        let hold = Writes::Hold {
            from: Side::Monolith,
        };
        let none = ByEpoch::new();
        let sent = Sent {
            at: Instant::now(),
            route: 0,
        };
        let old = ByEpoch::from([((Epoch(1), 7), sent)]);
        let new = ByEpoch::from([((Epoch(2), 0), sent)]);
        let to = Writes::To(Side::Service);
        for (routing_state, writes, drained) in [
            (RoutingState::Unknown, &none, false),
            (routing_state(1, hold), &none, false),
            (routing_state(2, hold), &none, true),
            (routing_state(2, hold), &old, false),
            (routing_state(2, hold), &new, false),
            (routing_state(2, to), &old, false),
            (routing_state(2, to), &new, true),
            (routing_state(3, to), &new, true),
        ] {
            assert_eq!(
                is_drained(routing_state, writes, Epoch(2)),
                drained,
                "{routing_state:?} {writes:?}"
            );
        }
    }
}

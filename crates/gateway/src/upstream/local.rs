//! What one worker has of the upstreams: its share of the budgets, what it has
//! not told the breakers yet, how much it has in flight where.

use super::{
    Upstream, Upstreams,
    balance::{self, Tried},
    guard::{Passage, Unsaid},
    retry::Budget,
};
use crate::{random::Random, table::UpstreamIndex};
use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// What one worker has at each instance; only that worker writes, the report
/// and the metrics read.
#[derive(Debug)]
pub(crate) struct Loads {
    in_flight: Box<[AtomicU32]>,
    idle: Box<[AtomicU32]>,
}

impl Loads {
    pub(super) fn new(instances: usize) -> Self {
        let zeros = || (0..instances).map(|_| AtomicU32::new(0)).collect();
        Self {
            in_flight: zeros(),
            idle: zeros(),
        }
    }

    /// Requests at an instance.
    pub(crate) fn in_flight(&self, instance: usize) -> u32 {
        self.in_flight[instance].load(Ordering::Relaxed)
    }

    /// Idle connections to an instance.
    pub(crate) fn idle(&self, instance: usize) -> u32 {
        self.idle[instance].load(Ordering::Relaxed)
    }

    pub(crate) fn set_idle(&self, instance: usize, connections: usize) {
        let connections = u32::try_from(connections).unwrap_or(u32::MAX);
        self.idle[instance].store(connections, Ordering::Relaxed);
    }
}

/// A request at an instance; counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Busy {
    loads: Arc<Loads>,
    instance: usize,
}

impl Busy {
    pub(crate) fn new(loads: &Arc<Loads>, instance: usize) -> Self {
        let count = &loads.in_flight[instance];
        // One thread writes, so this needs no atomic addition.
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        Self {
            loads: Arc::clone(loads),
            instance,
        }
    }

    /// The place of the instance among those of all upstreams.
    pub(crate) fn instance(&self) -> usize {
        self.instance
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let count = &self.loads.in_flight[self.instance];
        count.store(count.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
    }
}

/// One worker's part of the upstreams.
pub(crate) struct Local {
    pub(crate) loads: Arc<Loads>,
    pub(crate) random: Random,
    /// By upstream.
    budgets: Vec<RefCell<Budget>>,
    /// By upstream.
    unsaid: Vec<Unsaid>,
}

impl Local {
    pub(crate) fn new(upstreams: &Upstreams) -> Self {
        let now = Instant::now();
        let budget = |upstream: &Upstream| {
            RefCell::new(Budget::new(&upstream.retries, upstreams.workers, now))
        };
        Self {
            loads: upstreams.load(),
            random: Random::new(),
            budgets: upstreams.all().iter().map(budget).collect(),
            unsaid: upstreams.all().iter().map(|_| Unsaid::default()).collect(),
        }
    }

    /// Lets a request pass the breaker, where there is one.
    pub(crate) fn pass<'a>(
        &'a self,
        index: UpstreamIndex,
        upstream: &'a Upstream,
        begun: Instant,
    ) -> Result<Option<Passage<'a>>, Duration> {
        let unsaid = &self.unsaid[index.get()];
        let guard = upstream.breaker.as_ref();
        guard.map(|guard| guard.pass(unsaid, begun)).transpose()
    }

    /// Chooses an instance; its place in the upstream.
    pub(crate) fn choose(&self, upstream: &Upstream, tried: Tried) -> usize {
        if upstream.instances.len() == 1 {
            return 0;
        }
        balance::choose(
            upstream.instances.len(),
            tried,
            upstream.balance.panic,
            self.random.next(),
            |at| upstream.instances[at].is_usable(),
            |at| self.loads.in_flight(upstream.first + at),
        )
    }

    /// A request comes that may be repeated later.
    pub(crate) fn deposit(&self, index: UpstreamIndex) {
        self.budgets[index.get()].borrow_mut().deposit();
    }

    /// Takes a repeat out of the budget.
    pub(crate) fn withdraw(&self, index: UpstreamIndex) -> bool {
        self.budgets[index.get()]
            .borrow_mut()
            .withdraw(Instant::now())
    }

    /// Tells the breakers what this worker has not told them yet.
    pub(crate) fn sweep(&self, upstreams: &Upstreams) {
        let now = Instant::now();
        for (upstream, unsaid) in upstreams.all().iter().zip(&self.unsaid) {
            if let Some(guard) = &upstream.breaker {
                guard.tell(unsaid, now);
            }
        }
    }
}

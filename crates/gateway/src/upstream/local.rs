//! What one worker has of the upstreams: connections, its share of the budgets,
//! what it has not told the breakers yet, how much it has in flight where.

use super::{
    balance::{self, Tried},
    checks::{self, CheckSemaphore},
    http2::Multiplexed,
    loads::Loads,
    pool::Pool,
    retry::{self, Budget},
    shared_breaker::{BreakerPermit, UnreportedCounts},
    upstreams::{Upstream, Upstreams},
};
use crate::base::{index::UpstreamIndex, random::Random};
use http::StatusCode;
use std::{
    cell::RefCell,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// One worker's part of one upstream.
pub(crate) struct Local {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) pool: Rc<Pool>,
    pub(crate) multiplexed: Multiplexed,
    loads: Arc<Loads>,
    budget: RefCell<Budget>,
    unreported: UnreportedCounts,
    /// Health checks and look-ups, where this worker does them; they end with it.
    _checks: JoinSet<()>,
}

impl Local {
    fn new(upstream: &Arc<Upstream>, checks: Option<&CheckSemaphore>) -> Rc<Self> {
        let budget = retry::budget(&upstream.retries, upstream.workers(), Instant::now());
        let loads = upstream.load();
        Rc::new(Self {
            pool: Pool::new(upstream, &loads),
            multiplexed: Multiplexed::new(upstream.instances.len()),
            loads,
            budget: RefCell::new(budget),
            unreported: UnreportedCounts::default(),
            _checks: checks.map_or_else(JoinSet::new, |checks_semaphore| {
                checks::start(upstream, checks_semaphore)
            }),
            upstream: Arc::clone(upstream),
        })
    }

    /// Lets a request pass the breaker, where there is one.
    pub(crate) fn pass(&self, begun: Instant) -> Result<Option<BreakerPermit<'_>>, Duration> {
        let breaker = self.upstream.breaker.as_ref();
        breaker
            .map(|breaker| breaker.pass(&self.unreported, begun))
            .transpose()
    }

    /// Whether an answer with this status counts as failed for the breaker.
    pub(crate) fn is_failure(&self, status: StatusCode) -> bool {
        let breaker = self.upstream.breaker.as_ref();
        breaker.is_some_and(|breaker| breaker.is_failure(status.as_u16()))
    }

    /// Chooses an instance; its place in the upstream.
    pub(crate) fn choose(&self, random: &Random, tried: Tried) -> usize {
        let upstream = &self.upstream;
        if upstream.instances.len() == 1 {
            return 0;
        }
        balance::choose(
            upstream.instances.len(),
            tried,
            upstream.balance.panic,
            random.next(),
            |at| upstream.instances[at].is_usable(),
            |at| self.loads.in_flight(at),
        )
    }

    /// A request comes that may be repeated later.
    pub(crate) fn deposit(&self) {
        self.budget.borrow_mut().deposit();
    }

    /// Takes a repeat out of the budget.
    pub(crate) fn withdraw(&self) -> bool {
        self.budget.borrow_mut().withdraw(Instant::now())
    }
}

/// One worker's part of all upstreams of a plan.
pub(crate) struct Locals {
    all: Vec<Rc<Local>>,
    pub(crate) random: Random,
}

impl Locals {
    /// `checks`: this worker does the health checks, at most so many at once.
    pub(crate) fn new(upstreams: &Upstreams, checks: Option<&CheckSemaphore>) -> Self {
        let all = upstreams.all().iter();
        Self {
            all: all.map(|upstream| Local::new(upstream, checks)).collect(),
            random: Random::new(),
        }
    }

    /// Those of a changed plan; what was carried over keeps its connections.
    pub(crate) fn after(&self, upstreams: &Upstreams, checks: Option<&CheckSemaphore>) -> Self {
        let local = |upstream| {
            let same = |local: &&Rc<Local>| Arc::ptr_eq(&local.upstream, upstream);
            match self.all.iter().find(same) {
                Some(local) => Rc::clone(local),
                None => Local::new(upstream, checks),
            }
        };
        Self {
            all: upstreams.all().iter().map(local).collect(),
            random: Random::new(),
        }
    }

    pub(crate) fn get(&self, upstream: UpstreamIndex) -> &Rc<Local> {
        &self.all[upstream.get()]
    }

    /// Closes what is idle for too long, and tells the breakers what this
    /// worker has not told them yet.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        for local in &self.all {
            local.pool.sweep();
            if let Some(breaker) = &local.upstream.breaker {
                breaker.tell(&local.unreported, now);
            }
        }
    }
}

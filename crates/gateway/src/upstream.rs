//! The upstreams: who is asked, and when one is not asked.
//!
//! An upstream is the monolith or a service; it has one or several instances.
//! What all workers share is here ([`Upstreams`]); what is one worker's own is
//! in [`local`]. What is decided, as pure cores: `balance` (which instance),
//! `breaker` (whether at all), `retry` (whether once more), `standing` (what is
//! thought of an instance).

pub(crate) mod addresses;
pub(crate) mod balance;
pub(crate) mod breaker;
pub(crate) mod cache;
pub(crate) mod checks;
mod collector;
pub(crate) mod guard;
pub(crate) mod instance;
pub(crate) mod local;
pub(crate) mod patience;
pub(crate) mod report;
pub(crate) mod retry;
mod standing;

use crate::table::UpstreamIndex;
use breaker::BreakerState;
use cache::Cache;
use guard::Guard;
use instance::Instance;
use local::Loads;
use parking_lot::Mutex;
use plan::{Balance, HealthChecks, Plan, Protocol, Resolve, Retries, Timeouts};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// All upstreams of a plan: the monolith, then the services in order.
#[derive(Debug)]
pub(crate) struct Upstreams {
    all: Vec<Upstream>,
    /// What each worker has at which instance.
    loads: Mutex<Vec<Arc<Loads>>>,
    pub(crate) workers: usize,
    pub(crate) resolve_every: Duration,
}

/// One upstream.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) name: String,
    /// The place of its first instance among those of all upstreams.
    pub(crate) first: usize,
    /// At least one.
    pub(crate) instances: Vec<Instance>,
    pub(crate) breaker: Option<Guard>,
    pub(crate) protocol: Protocol,
    pub(crate) timeouts: Timeouts,
    pub(crate) retries: Retries,
    pub(crate) balance: Balance,
    pub(crate) health: Option<HealthChecks>,
    pub(crate) cache: Option<Arc<Cache>>,
    pub(crate) counts: Counts,
}

/// What is counted of an upstream.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) retries: AtomicU64,
    /// Repeats that the budget did not allow.
    pub(crate) retries_refused: AtomicU64,
    /// Answers that were cut off because their body came too slowly.
    pub(crate) cut_idle: AtomicU64,
    /// Because the whole request took too long.
    pub(crate) cut_whole: AtomicU64,
    /// Because the upstream ended them early or made no sense.
    pub(crate) cut_broken: AtomicU64,
}

/// One more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Upstreams {
    pub(crate) fn new(plan: &Plan) -> Arc<Self> {
        let started = Instant::now();
        let services = plan.services.iter();
        let services = services.map(|(name, service)| (name.as_str(), service));
        let mut first = 0;
        let mut all = Vec::new();
        for (name, settings) in std::iter::once(("monolith", &plan.monolith)).chain(services) {
            let upstream = Upstream::new(name, first, settings, &plan.gateway.resolve, started);
            first += upstream.instances.len();
            all.push(upstream);
        }
        Arc::new(Self {
            all,
            loads: Mutex::default(),
            workers: plan.gateway.workers.max(1),
            resolve_every: plan.gateway.resolve_every,
        })
    }

    pub(crate) fn get(&self, upstream: UpstreamIndex) -> &Upstream {
        &self.all[upstream.get()]
    }

    pub(crate) fn all(&self) -> &[Upstream] {
        &self.all
    }

    /// How many instances all upstreams have.
    pub(crate) fn instances(&self) -> usize {
        self.all
            .iter()
            .map(|upstream| upstream.instances.len())
            .sum()
    }

    /// The load of one more worker.
    pub(crate) fn load(&self) -> Arc<Loads> {
        let loads = Arc::new(Loads::new(self.instances()));
        self.loads.lock().push(Arc::clone(&loads));
        loads
    }

    /// Sums up something over the workers.
    fn sum(&self, of: impl Fn(&Loads) -> u32) -> u32 {
        self.loads.lock().iter().map(|loads| of(loads)).sum()
    }
}

impl Upstream {
    fn new(
        name: &str,
        first: usize,
        settings: &plan::Upstream,
        resolve: &Resolve,
        started: Instant,
    ) -> Self {
        let instance = |url| Instance::new(url, resolve, started);
        Self {
            name: name.to_owned(),
            first,
            protocol: settings.protocol,
            instances: settings.instances().map(instance).collect(),
            breaker: settings
                .breaker
                .as_ref()
                .map(|breaker| Guard::new(name, breaker)),
            timeouts: settings.timeouts,
            retries: settings.retries,
            balance: settings.balance,
            health: settings.health.clone(),
            cache: settings.degraded.map(Cache::new),
            counts: Counts::default(),
        }
    }

    /// `host:port` of its first instance: the name of all.
    pub(crate) fn authority(&self) -> &str {
        self.instances[0].addresses.authority()
    }

    /// Whether it is known not to work at the moment.
    pub(crate) fn is_down(&self) -> bool {
        let down = |instance: &Instance| instance.is_failing() || !instance.is_healthy();
        self.breaker
            .as_ref()
            .is_some_and(|breaker| !breaker.is_closed())
            || self.instances.iter().all(down)
    }

    fn breaker_state(&self) -> Option<BreakerState> {
        self.breaker.as_ref().map(Guard::state)
    }

    /// A request to an instance was answered, and not with a gateway error.
    pub(crate) fn succeeded(&self, instance: usize) {
        self.instances[instance].succeeded(self.ejection());
    }

    /// A request to an instance failed.
    pub(crate) fn failed(&self, instance: usize) {
        self.instances[instance].failed(self.ejection());
    }

    /// The only instance cannot be left alone.
    fn ejection(&self) -> Option<&plan::Ejection> {
        let ejection = self.balance.ejection.as_ref();
        ejection.filter(|_| self.instances.len() > 1)
    }
}

//! What all workers share of the upstreams.

use super::{
    breaker::BreakerState, cache::Cache, instance::Instance, loads::Loads,
    shared_breaker::SharedBreaker,
};
use crate::{base::index::UpstreamIndex, body::RequestTrailers};
use http::{HeaderMap, HeaderName};
use parking_lot::Mutex;
use plan::{Balance, HealthChecks, Plan, Protocol, Retries, Timeouts, Trailers};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// All upstreams of a plan: the monolith, then the services in order.
#[derive(Debug)]
pub(crate) struct Upstreams(Vec<Arc<Upstream>>);

/// What a plan says about one upstream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct UpstreamConfig {
    name: String,
    settings: plan::Upstream,
    resolve: plan::HostAddresses,
    resolve_every: Duration,
    idle_max: Duration,
    workers: usize,
    trailers: RequestTrailers,
}

/// One upstream.
#[derive(Debug)]
pub(crate) struct Upstream {
    config: UpstreamConfig,
    /// What each worker has at which instance.
    loads: Mutex<Vec<Arc<Loads>>>,
    pub(crate) name: String,
    /// At least one.
    pub(crate) instances: Vec<Instance>,
    pub(crate) breaker: Option<SharedBreaker>,
    pub(crate) protocol: Protocol,
    pub(crate) timeouts: Timeouts,
    pub(crate) retries: Retries,
    pub(crate) balance: Balance,
    pub(crate) health: Option<HealthChecks>,
    pub(crate) cache: Option<Arc<Cache>>,
    /// What of a request's trailers it gets.
    pub(crate) trailers: RequestTrailers,
    /// Headers of its answers that clients do not get.
    hidden: Vec<HeaderName>,
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
    pub(crate) fn new(plan: &Plan) -> Self {
        Self(
            configs(plan)
                .map(|config| Arc::new(Upstream::new(config)))
                .collect(),
        )
    }

    /// Those of a changed plan. What was configured of an upstream and has not
    /// changed is carried over, with all that is known of it; others begin anew.
    pub(crate) fn after(&self, plan: &Plan) -> Self {
        let upstream = |config: UpstreamConfig| match self.0.iter().find(|one| one.config == config)
        {
            Some(same) => Arc::clone(same),
            None => Arc::new(Upstream::new(config)),
        };
        Self(configs(plan).map(upstream).collect())
    }

    pub(crate) fn get(&self, upstream: UpstreamIndex) -> &Upstream {
        &self.0[upstream.get()]
    }

    pub(crate) fn all(&self) -> &[Arc<Upstream>] {
        &self.0
    }
}

/// What a plan says about its upstreams, in their order.
pub(crate) fn configs(plan: &Plan) -> impl Iterator<Item = UpstreamConfig> {
    let services = plan.services.iter();
    let services = services.map(|(name, service)| (name.as_str(), service));
    let all = std::iter::once(("monolith", &plan.monolith)).chain(services);
    let claims = claims(plan);
    all.map(move |(name, settings)| UpstreamConfig {
        name: name.to_owned(),
        settings: settings.clone(),
        resolve: plan.gateway.host_addresses.clone(),
        resolve_every: plan.gateway.resolve_every,
        idle_max: plan.gateway.upstream_idle,
        workers: plan.gateway.workers.max(1),
        trailers: match (settings.protocol, settings.trailers) {
            (Protocol::Http1, Trailers::Drop) => RequestTrailers::Dropped,
            // HTTP/2 frames them itself.
            _ => RequestTrailers::PassedBut(Arc::clone(&claims)),
        },
    })
}

/// The headers by which the plan takes credentials and tells who asks.
fn claims(plan: &Plan) -> Arc<[HeaderName]> {
    let gateway = &plan.gateway;
    let places = std::iter::once(&gateway.access.policies)
        .chain(plan.extractions.values().map(|one| &one.policies))
        .chain(gateway.routes.iter().map(|one| &one.policies));
    let credentials = places.flat_map(|policies| {
        let keys = policies.keys.iter().flat_map(|keys| &keys.headers);
        let tokens = policies.jwt.iter().flat_map(|jwt| &jwt.headers);
        keys.chain(tokens)
    });
    let identity = gateway.access.identity.iter().map(|one| &one.header);
    let names = credentials.chain(identity);
    // The plan has checked the names.
    names.filter_map(|name| name.parse().ok()).collect()
}

impl Upstream {
    pub(crate) fn new(config: UpstreamConfig) -> Self {
        let started = Instant::now();
        let settings = &config.settings;
        let instance = |url| Instance::new(url, &config.resolve, started);
        Self {
            name: config.name.clone(),
            loads: Mutex::default(),
            protocol: settings.protocol,
            instances: settings.instances().map(instance).collect(),
            breaker: settings
                .breaker
                .as_ref()
                .map(|breaker| SharedBreaker::new(&config.name, breaker)),
            timeouts: settings.timeouts,
            retries: settings.retries,
            balance: settings.balance,
            health: settings.health.clone(),
            cache: settings.degraded.map(Cache::new),
            trailers: config.trailers.clone(),
            // The plan has checked the names.
            hidden: settings
                .hide_headers
                .iter()
                .filter_map(|name| name.parse().ok())
                .collect(),
            counts: Counts::default(),
            config,
        }
    }

    /// Removes what it says to another proxy than its clients.
    pub(crate) fn hide(&self, headers: &mut HeaderMap) {
        for name in &self.hidden {
            headers.remove(name);
        }
    }

    /// How long an idle connection to it is kept.
    pub(crate) fn idle_max(&self) -> Duration {
        self.config.idle_max
    }

    pub(crate) fn resolve_every(&self) -> Duration {
        self.config.resolve_every
    }

    /// How many share its budgets.
    pub(crate) fn workers(&self) -> usize {
        self.config.workers
    }

    /// The load of one more worker.
    pub(crate) fn load(&self) -> Arc<Loads> {
        let loads = Arc::new(Loads::new(self.instances.len()));
        self.loads.lock().push(Arc::clone(&loads));
        loads
    }

    /// Sums up something over the workers.
    pub(crate) fn sum(&self, of: impl Fn(&Loads) -> u32) -> u32 {
        self.loads.lock().iter().map(|loads| of(loads)).sum()
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

    pub(crate) fn breaker_state(&self) -> Option<BreakerState> {
        self.breaker.as_ref().map(SharedBreaker::state)
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

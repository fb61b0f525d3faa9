//! What one worker has under one plan.

use super::{
    config::Config, connections::Connections, gateway_state::GatewayState, hold::Queue,
    inflight::Inflight, lsn_sampler::LsnSampler, recorder::Recorder, shadow_copies::Copies,
    side_counts::SideCounter, under_way::RouteTallies,
};
use crate::access::AccessState;
use crate::{
    base::index::ExtractionIndex,
    body::{Buffers, Intake},
    observe::Observer,
    selection::flags::Refresher,
    upstream::{checks::CheckSemaphore, local::Locals},
};
use bytes::Bytes;
use http::HeaderValue;
use plan::{ClientLimits, RouteTimeouts};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};
use tokio::sync::Notify;
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// The most bytes of bodies of writes in a worker's memory: 64 of the largest.
const BUFFER_BYTES_MAX: usize = 64 * crate::body::BODY_BYTES_MAX;

/// Unpredictable, so that ids are, too.
fn seed() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().1
}

/// A worker's state under one plan; all of it on its own thread.
pub(crate) struct Worker {
    pub(crate) config: Arc<Config>,
    pub(crate) state: Arc<GatewayState>,
    pub(crate) upstreams: Locals,
    pub(crate) recorder: Recorder,
    pub(crate) access_state: AccessState,
    flags: Refresher,
    pub(crate) under_way: RouteTallies,
    pub(crate) inflight: Rc<Inflight>,
    /// By extraction.
    pub(crate) queues: Rc<[Rc<Queue>]>,
    /// By extraction.
    pub(crate) lsn_samplers: Rc<[Rc<LsnSampler>]>,
    pub(crate) buffers: Rc<Buffers>,
    pub(crate) connections: Rc<Connections>,
    pub(crate) observer: Rc<Observer>,
    /// Told when the routing has changed, or the lease has ended.
    pub(crate) rerouted: Rc<Notify>,
    pub(crate) copies: Copies,
    /// By extraction; `None` where nothing is compared.
    side_counters: Box<[Option<Rc<SideCounter>>]>,
    /// Whether it does what is done once per process, and whose turn it is.
    checks: Option<CheckSemaphore>,
    correlation_seed: u64,
    correlations: Cell<u64>,
}

impl Worker {
    pub(crate) fn new(config: Arc<Config>, is_first: bool) -> Self {
        let state = Arc::clone(&config.state);
        let lsn_sampler = |(extraction, _)| LsnSampler::new(Arc::clone(&state), extraction);
        let checks = is_first.then(CheckSemaphore::new);
        let observer = Observer::new(&state.observatory);
        Self {
            upstreams: Locals::new(&config.upstreams, checks.as_ref()),
            recorder: Recorder::new(Arc::clone(&config)),
            access_state: config.access.worker_state(is_first),
            flags: Refresher::default().after(&config.flags, is_first),
            under_way: RouteTallies::new(&config.table),
            inflight: Inflight::new(Arc::clone(&state)),
            queues: state.all().map(|_| Rc::default()).collect(),
            lsn_samplers: state.all().map(lsn_sampler).collect(),
            buffers: Buffers::new(BUFFER_BYTES_MAX),
            connections: Rc::new(Connections::new(&observer.tally)),
            observer: Rc::new(observer),
            rerouted: Rc::default(),
            copies: Copies::new(),
            side_counters: side_counters(&config, |_| None),
            checks,
            correlation_seed: seed(),
            correlations: Cell::new(0),
            config,
            state,
        }
    }

    /// An extraction's route, in words; empty where this plan has none there any more.
    pub(crate) fn route_text(&self, extraction: ExtractionIndex, route: usize) -> String {
        let routes = &self.config.table.entry(extraction).routes;
        routes
            .get(route)
            .map(ToString::to_string)
            .unwrap_or_default()
    }

    /// The worker under another plan. Connections, what is in flight, held and
    /// to be settled stay the same.
    pub(crate) fn after(&self, config: Arc<Config>) -> Self {
        Self {
            upstreams: self
                .upstreams
                .after(&config.upstreams, self.checks.as_ref()),
            recorder: Recorder::new(Arc::clone(&config)),
            access_state: config
                .access
                .worker_state_after(&self.access_state, self.checks.is_some()),
            flags: self.flags.after(&config.flags, self.checks.is_some()),
            under_way: self.under_way.after(&config.table),
            inflight: Rc::clone(&self.inflight),
            queues: Rc::clone(&self.queues),
            lsn_samplers: Rc::clone(&self.lsn_samplers),
            buffers: Rc::clone(&self.buffers),
            connections: Rc::clone(&self.connections),
            observer: Rc::clone(&self.observer),
            rerouted: Rc::clone(&self.rerouted),
            copies: self.copies.clone(),
            side_counters: side_counters(&config, |one| self.side_counter(one).cloned()),
            checks: self.checks.clone(),
            correlation_seed: seed(),
            correlations: Cell::new(0),
            config,
            state: Arc::clone(&self.state),
        }
    }

    /// A new id; unique, and without asking the operating system each time.
    pub(crate) fn correlation_id(&self) -> HeaderValue {
        let count = self.correlations.get();
        self.correlations.set(count.wrapping_add(1));
        let random = xxh3_128_with_seed(&count.to_le_bytes(), self.correlation_seed);
        let id = uuid::Builder::from_random_bytes(random.to_le_bytes()).into_uuid();
        let mut text = uuid::Uuid::encode_buffer();
        let length = id.hyphenated().encode_lower(&mut text).len();
        // Owned by the bytes, so that a copy of it is one more reference. The
        // buffer has room for the longest form; NULs are left behind this one.
        HeaderValue::from_maybe_shared(Bytes::from_owner(text).slice(..length))
            .unwrap_or(HeaderValue::from_static("none"))
    }

    /// What bounds the bodies that it reads for a route. `demanded` is what its policies
    /// allow.
    pub(crate) fn intake(&self, route: &RouteTimeouts, demanded: Option<u64>) -> Intake<'_> {
        let client = self.config.settings.client;
        let most = client.body_bytes.into_iter().chain(demanded).min();
        Intake {
            client: ClientLimits {
                body: route.body.unwrap_or(client.body),
                body_bytes: most,
                ..client
            },
            buffers: &self.buffers,
            spool: &self.config.spool,
        }
    }

    /// What counts an extraction's requests for comparing both sides, where it is to.
    pub(crate) fn side_counter(&self, extraction: ExtractionIndex) -> Option<&Rc<SideCounter>> {
        self.side_counters[extraction.get()].as_ref()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.connections.are_closing()
    }

    /// The routing has changed, or the lease has ended.
    pub(crate) fn rerouted(&self) {
        self.inflight.answer();
        self.rerouted.notify_waiters();
        for (extraction, _) in self.state.all() {
            if !self.state.snapshot.load().routing_state(extraction).holds() {
                self.queues[extraction.get()].wake();
            }
        }
    }

    /// Refuses what is held, lets the rest end.
    pub(crate) fn stop(&self) {
        self.connections.close();
        for queue in &*self.queues {
            queue.wake();
        }
    }
}

/// Those of a plan, with what was there before.
fn side_counters(
    config: &Config,
    before: impl Fn(ExtractionIndex) -> Option<Rc<SideCounter>>,
) -> Box<[Option<Rc<SideCounter>>]> {
    let counter = |(extraction, _)| {
        let features = config.features.get(extraction);
        let counted = features.is_counted.then(|| before(extraction));
        counted.map(Option::unwrap_or_default)
    };
    config.state.all().map(counter).collect()
}

/// A worker's state now: a reload puts another one in its place. Who goes on
/// for longer than a request asks again each time.
pub(crate) struct Current(RefCell<Rc<Worker>>);

impl Current {
    pub(crate) fn new(worker: Worker) -> Self {
        Self(RefCell::new(Rc::new(worker)))
    }

    pub(crate) fn replace(&self, worker: Worker) {
        self.0.replace(Rc::new(worker));
    }

    pub(crate) fn get(&self) -> Rc<Worker> {
        Rc::clone(&self.0.borrow())
    }
}

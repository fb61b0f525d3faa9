//! Copies of reads, asked of both sides and compared; and copies of writes, for
//! a service that may be spoiled.
//!
//! The client's own request is not touched: a comparison is made of requests of
//! its own, after the same head, beside it. So it can neither slow the client
//! nor show it anything, and nothing of an answer on its way is kept; what it
//! costs is one more read of each side for the share that the plan names, and
//! another where they differ. What comes of it is held against nobody: no
//! breaker, no ejection and no budget of repeats learns of it, and where a
//! breaker is open nothing is asked.
//!
//! - `compare`: two answers, field by field.
//! - `verdict`: what two pairs of answers prove.
//! - `probe`: asking, waiting, asking again.
//! - `writes`: copies to the scratch upstream.
//! - `ledger`: what was found.

mod compare;
mod ledger;
mod metrics;
mod probe;
mod verdict;
mod writes;

pub(crate) use ledger::Ledger;
pub use ledger::{ReadCounts, ShadowExample, ShadowField, ShadowReport, WriteCounts};
pub(crate) use writes::WriteCopy;

use crate::{
    body::RequestBody, caller::Caller, repeat, table::RouteIndex, upstream::addresses::Addresses,
    worker::Worker,
};
use compare::{Ignored, Values};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header, request::Parts};
use ledger::{Outcome, Subject};
use metrics::ShadowMetrics;
use plan::{Percent, Resolve};
use probe::{Basis, Probe};
use prometheus_client::registry::Registry;
use protocol::Side;
use std::{cell::Cell, rc::Rc, sync::Arc};
use tokio::{sync::Semaphore, task::spawn_local};

/// The most comparisons of one worker at once; with the largest answer they
/// bound its memory to 16 MiB. Enough for 8 differing reads a second.
const COMPARISONS_MAX: usize = 8;

/// The most copies of writes of one worker at once, whose bodies are at most
/// 1 MiB each.
const WRITES_MAX: usize = 8;

/// Tells upstreams that nobody waits for the answer. No client may say it.
pub(crate) const MARKER: HeaderName = HeaderName::from_static("x-banyan-shadow");

/// They ask for less than the whole answer if the client has it already, from
/// one of the sides.
const CONDITIONS: [HeaderName; 5] = [
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
];

/// What the plan says about an extraction's copies.
#[derive(Debug)]
pub(crate) struct Shadow {
    share: Percent,
    ignored: Ignored,
    values: Values,
    scratch: Option<Addresses>,
}

impl Shadow {
    pub(crate) fn new(plan: &plan::Shadow, resolve: &Resolve) -> Self {
        let scratch = plan.scratch.as_ref();
        Self {
            share: plan.share,
            ignored: Ignored::new(&plan.ignore),
            values: if plan.show_values {
                Values::Shown
            } else {
                Values::Redacted
            },
            scratch: scratch.map(|url| Addresses::new(url, resolve)),
        }
    }

    pub(crate) fn share(&self) -> Percent {
        self.share
    }

    /// By chance: what clients ask in turn must not decide what is compared.
    fn is_due(&self, worker: &Worker) -> bool {
        let drawn = worker.upstreams.random.next() % u64::from(Percent::STEPS);
        drawn < u64::from(self.share.basis_points())
    }
}

/// What all workers share of copies.
#[derive(Debug)]
pub(crate) struct Shadows {
    metrics: ShadowMetrics,
    /// One pair of answers is compared at a time: large documents take time and
    /// many times their size in memory.
    turn: Arc<Semaphore>,
}

impl Shadows {
    pub(crate) fn new() -> Self {
        Self {
            metrics: ShadowMetrics::default(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry);
    }
}

/// The copies that a worker has under way, under whatever plan.
#[derive(Debug, Clone)]
pub(crate) struct Copies {
    reads: Room,
    writes: Room,
}

impl Copies {
    pub(crate) fn new() -> Self {
        Self {
            reads: Room::new(COMPARISONS_MAX),
            writes: Room::new(WRITES_MAX),
        }
    }
}

#[derive(Debug, Clone)]
struct Room(Rc<Cell<usize>>);

/// A place that is given back on drop.
#[derive(Debug)]
struct Ticket(Rc<Cell<usize>>);

impl Room {
    fn new(places: usize) -> Self {
        Self(Rc::new(Cell::new(places)))
    }

    fn take(&self) -> Option<Ticket> {
        let left = self.0.get().checked_sub(1)?;
        self.0.set(left);
        Some(Ticket(Rc::clone(&self.0)))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// Compares the answers to a read beside it, if it is its turn. It is as
/// it is sent to an upstream.
pub(crate) fn consider(
    worker: &Rc<Worker>,
    route: RouteIndex,
    request: &Request<RequestBody>,
    caller: Caller<'_>,
) {
    if let Some(shadow) = &worker.setup.table.entry(route.extraction).shadow
        && is_safe(request.method())
        && shadow.is_due(worker)
    {
        begin(worker, route, shadow, request, caller);
    }
}

/// What a route takes for a read though its method is none is not asked twice
/// for our sake.
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn begin(
    worker: &Rc<Worker>,
    route: RouteIndex,
    shadow: &Arc<Shadow>,
    request: &Request<RequestBody>,
    caller: Caller<'_>,
) {
    let Some(copy) = repeat::copy(request) else {
        return;
    };
    let (mut parts, body) = copy.into_parts();
    if asks_for_events(&parts) {
        return;
    }
    let shared = &worker.shared;
    let entry = worker.setup.table.entry(route.extraction);
    let extraction = shared.extraction(route.extraction);
    let standing = shared.snapshot.load().standing(route.extraction);
    let Some(basis) = Basis::of(standing) else {
        return;
    };
    let pattern = &entry.routes[route.route].path;
    let client = caller.client(&parts.headers, &parts.uri);
    let key = entry.key.find(client, Some(pattern));
    let client = key.map(|key| extraction.pins.client(key));
    let subject = Subject::of(pattern.to_string(), &parts);
    if let Basis::Followed(owner) = basis
        && !extraction.pins.has_flowed(owner, client)
    {
        return tell(worker, route, &subject.route, Outcome::Skipped);
    }
    let breaker_open = Side::BOTH.iter().any(|side| {
        let upstream = worker.setup.table.upstream(route.extraction, *side);
        let breaker = worker.setup.upstreams.get(upstream).breaker.as_ref();
        breaker.is_some_and(|breaker| !breaker.is_closed())
    });
    let ticket = worker.copies.reads.take().filter(|_| !breaker_open);
    let Some(ticket) = ticket else {
        return tell(worker, route, &subject.route, Outcome::Dropped);
    };
    mark(&mut parts.headers);
    for condition in CONDITIONS {
        parts.headers.remove(condition);
    }
    // Two programs compress the same text differently.
    let plain = HeaderValue::from_static("identity");
    parts.headers.insert(header::ACCEPT_ENCODING, plain);
    let probe = Probe {
        worker: Rc::clone(worker),
        route,
        shadow: Arc::clone(shadow),
        basis,
        subject,
        request: Request::from_parts(parts, body),
    };
    spawn_local(async move {
        let outcome = probe.run().await;
        tell(&probe.worker, route, &probe.subject.route, outcome);
        drop(ticket);
    });
}

/// Whether its answer may have no end.
fn asks_for_events(parts: &Parts) -> bool {
    let mut accepted = parts.headers.get_all(header::ACCEPT).iter();
    accepted.any(probe::names_events)
}

/// Marks a copy.
fn mark(headers: &mut HeaderMap) {
    headers.insert(MARKER, HeaderValue::from_static("1"));
}

fn tell(worker: &Worker, route: RouteIndex, path: &str, outcome: Outcome) {
    let shared = &worker.shared;
    shared
        .extraction(route.extraction)
        .shadow
        .count(path, outcome);
    let service = worker.setup.service(route.extraction);
    shared.shadows.metrics.compared(service, path, outcome);
}

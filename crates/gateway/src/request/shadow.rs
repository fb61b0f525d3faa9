//! Begins comparisons of reads, and copies of writes, beside a request.

pub(crate) mod probe;
pub(crate) mod writes;

use super::{caller::Caller, replayable};
use crate::{
    base::{headers::SHADOW, index::RouteIndex},
    body::RequestBody,
    shadow::{
        ledger::{Outcome, Subject},
        settings::ShadowSettings,
    },
    state::worker::Worker,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header, request::Parts};
use probe::{Basis, Probe};
use protocol::Side;
use std::{rc::Rc, sync::Arc};
use tokio::task::spawn_local;

/// They ask for less than the whole answer if the client has it already, from
/// one of the sides.
const CONDITIONS: [HeaderName; 5] = [
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
];

/// Compares the answers to a read beside it, if it is its turn. It is as
/// it is sent to an upstream.
pub(crate) fn consider(
    worker: &Rc<Worker>,
    route: RouteIndex,
    request: &Request<RequestBody>,
    caller: Caller<'_>,
) {
    if let Some(shadow) = &worker.config.features.get(route.extraction).shadow
        && is_safe(request.method())
        && shadow.is_due(worker.upstreams.random.next())
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
    shadow: &Arc<ShadowSettings>,
    request: &Request<RequestBody>,
    caller: Caller<'_>,
) {
    let Some(copy) = replayable::copy(request) else {
        return;
    };
    let (mut parts, body) = copy.into_parts();
    if asks_for_events(&parts) {
        return;
    }
    let state = &worker.state;
    let entry = worker.config.table.entry(route.extraction);
    let extraction = state.extraction(route.extraction);
    let routing_state = state.snapshot.load().routing_state(route.extraction);
    let Some(basis) = Basis::of(routing_state) else {
        return;
    };
    let pattern = &entry.routes[route.route].path;
    let client = caller.client(&parts.headers, &parts.uri);
    let key = worker
        .config
        .features
        .get(route.extraction)
        .key
        .find(client.key_input(), Some(pattern));
    let client = key.map(|key| extraction.pins.client(key));
    let subject = Subject::of(pattern.to_string(), &parts);
    if let Basis::Followed(owner) = basis
        && !extraction.pins.has_flowed(owner, client)
    {
        return tell(worker, route, &subject.route, Outcome::Skipped);
    }
    let breaker_open = Side::BOTH.iter().any(|side| {
        let upstream = worker.config.table.upstream(route.extraction, *side);
        let breaker = worker.config.upstreams.get(upstream).breaker.as_ref();
        breaker.is_some_and(|breaker| !breaker.is_closed())
    });
    let permit = Arc::clone(&worker.copies.reads).try_acquire_owned();
    let Some(permit) = permit.ok().filter(|_| !breaker_open) else {
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
        drop(permit);
    });
}

/// Whether its answer may have no end.
fn asks_for_events(parts: &Parts) -> bool {
    let mut accepted = parts.headers.get_all(header::ACCEPT).iter();
    accepted.any(probe::names_events)
}

/// Marks a copy.
pub(crate) fn mark(headers: &mut HeaderMap) {
    headers.insert(SHADOW, HeaderValue::from_static("1"));
}

fn tell(worker: &Worker, route: RouteIndex, path: &str, outcome: Outcome) {
    let state = &worker.state;
    state
        .extraction(route.extraction)
        .shadow
        .count(path, outcome);
    let service = worker.config.service(route.extraction);
    state.shadows.metrics.compared(service, path, outcome);
}

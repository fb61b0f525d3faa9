//! Requests of routes that stay with the monolith, and the wait for a client's
//! own write that they share with others.

use super::{
    addressing::origin_form,
    buffering,
    caller::Caller,
    forward::{Terms, forward},
    outcome::Outcome,
    read_your_writes::wait::Wait,
    replayable::{Repeatable, is_idempotent},
    resend,
    stale_answer::Keeping,
};
use crate::{
    base::{
        index::{PassthroughIndex, UpstreamIndex},
        refusal::Refusal,
    },
    body::Inbound,
    routing::table::Passthrough,
    state::worker::Worker,
    upstream::{cache::Cache, failure::Failure},
};
use http::{HeaderValue, header, request::Parts};
use plan::{MethodKind, RouteTimeouts};

/// Sends a request where its route says, else to the monolith: there, once the
/// monolith has seen what the client wrote.
pub(crate) async fn serve(
    worker: &Worker,
    route: Option<PassthroughIndex>,
    kind: MethodKind,
    parts: &mut Parts,
    caller: Caller<'_>,
    body: Inbound,
) -> Outcome {
    let route = route.map(|route| worker.config.table.passthrough(route));
    let upstream = route.map_or(UpstreamIndex::MONOLITH, |route| route.upstream);
    to(worker, upstream, route, kind, parts, caller, body).await
}

/// Sends a request to an upstream: to the monolith, once that has seen what the
/// client wrote.
pub(crate) async fn to(
    worker: &Worker,
    upstream: UpstreamIndex,
    route: Option<&Passthrough>,
    kind: MethodKind,
    parts: &mut Parts,
    caller: Caller<'_>,
    body: Inbound,
) -> Outcome {
    let has_own_writes = route.is_none_or(|passthrough| passthrough.route.own_writes);
    let is_bound = upstream == UpstreamIndex::MONOLITH && has_own_writes;
    let late = (is_bound && !body.has_length()).then(|| (parts.headers.clone(), parts.uri.clone()));
    if is_bound {
        let client = caller.client(&parts.headers, &parts.uri);
        if let Err(refusal) = Wait::new(worker).caught_up(worker, client).await {
            body.refuse(parts).await;
            return Outcome::refused(refusal);
        }
    }
    if let Some(route) = route
        && let Err(refusal) = redirect(worker, route, parts)
    {
        body.refuse(parts).await;
        return Outcome::refused(refusal);
    }
    let keeping = Keeping::of(worker, upstream, &body, || Cache::key(parts, None));
    let patient = worker.config.upstreams.get(upstream);
    let rule = route.map(|passthrough| passthrough.route.route.kind);
    let may_repeat = resend::is_safe(kind, rule) || is_idempotent(patient, &parts.headers);
    let wants = route.is_none_or(|passthrough| passthrough.route.route.buffers);
    let buffers = |headers: &_| buffering::is_due(worker, wants, &[upstream], headers);
    let timeouts = route.map_or(&RouteTimeouts::NONE, |passthrough| {
        &passthrough.route.route.timeouts
    });
    let intake = worker.intake(timeouts, caller.admission.body_bytes());
    let request = Repeatable::of(worker, parts, body, may_repeat, buffers, intake).await;
    let mut request = match request {
        Ok(request) => request,
        Err(refusal) => return Outcome::refused(refusal),
    };
    if let Some((headers, uri)) = &late {
        // Its client may have written elsewhere while its body came.
        let client = caller.client(headers, uri);
        if let Err(refusal) = Wait::new(worker).caught_up(worker, client).await {
            return Outcome::refused(refusal);
        }
    }
    let Repeatable { request, sends, .. } = &mut request;
    let interim = caller.interim();
    let terms = Terms {
        sends: *sends,
        linger: None,
        timeouts,
        own: caller.own(),
        interim: interim.as_deref(),
    };
    caller.goes_to(upstream.side());
    let answer = forward(worker, upstream, request, terms).await;
    let outcome = Outcome::at(upstream.side(), answer.map_err(Failure::refusal));
    match keeping {
        None => outcome,
        Some(keeping) => keeping.settle(worker, &[upstream], outcome),
    }
}

/// Gives a request the path and the `Host` that its route wants.
pub(crate) fn redirect(
    worker: &Worker,
    route: &Passthrough,
    parts: &mut Parts,
) -> Result<(), Refusal> {
    if let Some(path) = route.rewritten(parts.uri.path()) {
        parts.uri = origin_form(&path, parts.uri.query())?;
    }
    if !route.route.preserve_host {
        let upstream = worker.config.upstreams.get(route.upstream);
        let host = HeaderValue::try_from(upstream.authority());
        let host = host.map_err(|_| Refusal::BadHead("the upstream's name is no host"))?;
        parts.headers.insert(header::HOST, host);
    }
    Ok(())
}

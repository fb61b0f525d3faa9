//! Safe requests of an extraction.

use super::{
    buffering,
    caller::{Caller, Client},
    choose::decided,
    failed_answer,
    forward::{Terms, forward, side_result},
    old_way,
    outcome::Outcome,
    read_your_writes::wait::Wait,
    replayable::Repeatable,
    resend::{self, Sends},
    side_request::SideRequest,
    stale_answer::Keeping,
};
use crate::request::shadow;
use crate::{
    base::{
        index::{Place, RouteIndex, UpstreamIndex},
        refusal::Refusal,
    },
    body::{Inbound, RequestBody},
    observe::labels::method_label,
    routing::{
        decision::{ReadVerdict, Why},
        snapshot::RoutingState,
    },
    state::worker::Worker,
    upstream::{cache::Cache, failure::Failure, response_body::ResponseBody},
};
use http::{Request, Response, request::Parts};
use plan::MethodKind;
use protocol::Side;
use std::rc::Rc;

/// Sends a read to the side that the split chooses, or to the owner; and to
/// the owner where the other side fails. Where both are down, it is answered
/// by what was kept, if the plan wants that.
pub(crate) async fn read(
    worker: &Rc<Worker>,
    route: RouteIndex,
    parts: &mut Parts,
    caller: Caller<'_>,
    body: Inbound,
) -> Outcome {
    let wait = Wait::new(worker);
    let client = caller.client(&parts.headers, &parts.uri);
    let late = (!body.has_length()).then(|| (parts.headers.clone(), parts.uri.clone()));
    let mut decided = match verdict(worker, route, client, &wait).await {
        Ok(verdict) => verdict,
        Err(refusal) => return Outcome::refused(refusal),
    };
    if let Some(force) = &worker.config.features.get(route.extraction).force {
        force.strip(&mut parts.headers);
    }
    let service = worker
        .config
        .table
        .upstream(route.extraction, Side::Service);
    let keeping = Keeping::of(worker, service, &body, || {
        let entry = worker.config.table.entry(route.extraction);
        let client = caller.client(&parts.headers, &parts.uri);
        let path = &entry.routes[route.route].path;
        Cache::key(
            parts,
            worker
                .config
                .features
                .get(route.extraction)
                .key
                .find(client.key_input(), Some(path)),
        )
    });
    let entry = worker.config.table.entry(route.extraction);
    let wants = entry.routes[route.route].buffers;
    let sides = [UpstreamIndex::MONOLITH, service];
    let buffers = |headers: &_| buffering::is_due(worker, wants, &sides, headers);
    let intake = worker.intake(
        &entry.routes[route.route].timeouts,
        caller.admission.body_bytes(),
    );
    let request = Repeatable::of(worker, parts, body, true, buffers, intake).await;
    let mut request = match request {
        Ok(request) => request,
        Err(refusal) => return Outcome::refused(refusal),
    };
    if let Some((headers, uri)) = &late {
        // Its client may have written, or the owner changed, while its body came.
        let client = caller.client(headers, uri);
        decided = match Box::pin(verdict(worker, route, client, &wait)).await {
            Ok(verdict) => verdict,
            Err(refusal) => return Outcome::refused(refusal),
        };
    }
    if (decided.side, decided.owner) == (Side::Monolith, Side::Service) {
        let path = entry.routes[route.route].path.to_string();
        let head = (request.request.method(), request.request.headers());
        if let Err(refusal) = old_way::pass_back(worker, route.extraction, &path, head) {
            return Outcome::refused(refusal);
        }
    }
    if resend::is_safe(MethodKind::Read, Some(entry.routes[route.route].kind)) {
        shadow::consider(worker, route, &request.request, caller);
    } else {
        // A copy would have the effect once more.
        request.sends = Sends::Once;
    }
    let outcome = ask(worker, route, decided, &mut request, caller, &wait).await;
    match keeping {
        None => outcome,
        Some(keeping) => keeping.settle(worker, &[UpstreamIndex::MONOLITH, service], outcome),
    }
}

/// Asks one side, and the owner where that fails.
async fn ask(
    worker: &Worker,
    route: RouteIndex,
    ReadVerdict { side, owner, .. }: ReadVerdict,
    Repeatable { request, sends, .. }: &mut Repeatable,
    caller: Caller<'_>,
    wait: &Wait,
) -> Outcome {
    // Asked before: what is passed on as it comes is used up.
    let is_here = request.body().is_whole();
    let client = caller.client(request.headers(), request.uri());
    let counted = SideRequest::sent(worker, route, (side, MethodKind::Read), client);
    let mut answer = send(worker, route, side, request, *sends, caller).await;
    counted.ended(answer.as_mut().map_err(|why| *why));
    let result = side_result(&answer);
    let answer = answer.map_err(Failure::refusal);
    if !resend::read_to_owner(*sends, is_here, (side, owner), result) {
        return Outcome::at(side, answer);
    }
    if let Ok(answered) = &answer {
        // Its client will not see it.
        let (place, method) = (Place::Extraction(route), method_label(request.method()));
        failed_answer::note(worker, (place, side), method, None, answered);
    }
    drop(answer);
    let sends = *sends;
    // Seldom, and as large as all the rest.
    Box::pin(ask_owner(
        worker, route, owner, request, sends, caller, wait,
    ))
    .await
}

/// Asks the owner, since the other side has failed.
async fn ask_owner(
    worker: &Worker,
    route: RouteIndex,
    owner: Side,
    request: &mut Request<RequestBody>,
    sends: Sends,
    caller: Caller<'_>,
    wait: &Wait,
) -> Outcome {
    worker
        .state
        .metrics
        .fallback(worker.config.service(route.extraction));
    if owner == Side::Monolith {
        let client = caller.client(request.headers(), request.uri());
        if let Err(refusal) = wait.caught_up(worker, client).await {
            return Outcome::refused(refusal);
        }
    }
    let answer = send(worker, route, owner, request, sends, caller).await;
    Outcome::at(owner, answer.map_err(Failure::refusal))
}

/// Decides, and waits for the client's writes in other extractions where the
/// monolith was chosen, or a service that works on the monolith's data.
async fn verdict(
    worker: &Worker,
    route: RouteIndex,
    client: Client<'_>,
    wait: &Wait,
) -> Result<ReadVerdict, Refusal> {
    let mut is_first = true;
    loop {
        let decided = decided(&worker.config, route, client);
        let verdict = decided.verdict?;
        if is_first {
            let keys = &worker.state.extraction(route.extraction).keys;
            keys.count(decided.key.is_some());
        }
        is_first = false;
        if let (Why::Unproven, Some(tokens)) = (verdict.why, client.caller.tokens)
            && let Some(since) = decided.routing_state.decided()
        {
            tokens.renew(worker, route.extraction, since, decided.presented);
        }
        let has_own_data = !matches!(decided.routing_state, RoutingState::SharedData { .. });
        if verdict.side == Side::Service && has_own_data {
            return Ok(verdict);
        }
        let debts = wait.debts(worker, client);
        if debts.is_empty() {
            return Ok(verdict);
        }
        // The routing may have changed meanwhile.
        Box::pin(wait.paid(worker, client.caller.tokens, debts)).await?;
    }
}

async fn send(
    worker: &Worker,
    route: RouteIndex,
    side: Side,
    request: &mut Request<RequestBody>,
    sends: Sends,
    caller: Caller<'_>,
) -> Result<Response<ResponseBody>, Failure> {
    let upstream = worker.config.table.upstream(route.extraction, side);
    let timeouts = &worker.config.table.entry(route.extraction).routes[route.route].timeouts;
    let interim = caller.interim();
    caller.goes_to(side);
    let terms = Terms {
        sends,
        linger: None,
        timeouts,
        own: caller.own(),
        interim: interim.as_deref(),
    };
    forward(worker, upstream, request, terms).await
}

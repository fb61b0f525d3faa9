//! Safe requests of an extraction.

use crate::{
    answer::Refusal,
    body::{RequestBody, ResponseBody},
    client::Client,
    decision::{self, ReadVerdict},
    forward::{Failure, Spare, first_byte, forward},
    peer::Peer,
    serve::Outcome,
    stay::{self, Wait},
    table::RouteIndex,
    worker::Worker,
};
use bytes::Bytes;
use http::{Request, Response, StatusCode, request::Parts};
use http_body::Body as _;
use hyper::body::Incoming;
use protocol::Side;

/// Sends a read to the side that the split chooses, or to the owner; and to
/// the owner where the other side fails.
pub(crate) async fn read(
    worker: &Worker,
    route: RouteIndex,
    mut parts: Parts,
    peer: &Peer,
    body: Incoming,
) -> Outcome {
    let wait = Wait::new(worker);
    let client = Client {
        headers: &parts.headers,
        uri: &parts.uri,
        peer,
    };
    let verdict = match verdict(worker, route, client, &wait).await {
        Ok(verdict) => verdict,
        Err(refusal) => return Outcome::refused(refusal),
    };
    if let Some(force) = &worker.shared.table.entry(route.extraction).force {
        force.strip(&mut parts.headers);
    }
    let spare = body.is_end_stream().then(|| Spare::of(&parts));
    let request = Request::from_parts(parts, RequestBody::stream(Bytes::new(), body));
    let answer = send(worker, route, verdict.side, request, spare.as_ref()).await;
    let (ReadVerdict { side, owner, .. }, Some(spare)) = (verdict, spare) else {
        return Outcome::at(verdict.side, answer);
    };
    if side == owner || !has_failed(&answer) {
        return Outcome::at(side, answer);
    }
    drop(answer);
    worker
        .shared
        .metrics
        .fallback(worker.shared.service(route.extraction));
    if owner == Side::Monolith
        && let Err(refusal) = wait.caught_up(worker, spare.client(peer)).await
    {
        return Outcome::refused(refusal);
    }
    let answer = send(worker, route, owner, spare.request(), Some(&spare)).await;
    Outcome::at(owner, answer)
}

/// Decides, and waits for the client's writes in other extractions where the
/// monolith was chosen.
async fn verdict(
    worker: &Worker,
    route: RouteIndex,
    client: Client<'_>,
    wait: &Wait,
) -> Result<ReadVerdict, Refusal> {
    let shared = &worker.shared;
    let entry = shared.table.entry(route.extraction);
    let pins = &shared.extraction(route.extraction).pins;
    let key = entry
        .key
        .find(client, Some(&entry.routes[route.route].path));
    let forced = entry
        .force
        .as_ref()
        .and_then(|force| force.side(client.headers));
    loop {
        let standing = shared.snapshot.load().standing(route.extraction);
        let pinned = |owner| key.is_some_and(|key| pins.bind(owner, pins.client(key)));
        let verdict = decision::read(standing, shared.lease(), &entry.name, key, forced, pinned)?;
        if verdict.side == Side::Service {
            return Ok(verdict);
        }
        let debts = stay::debts(worker, client);
        if debts.is_empty() {
            return Ok(verdict);
        }
        // The routing may have changed meanwhile.
        wait.paid(worker, debts).await?;
    }
}

async fn send(
    worker: &Worker,
    route: RouteIndex,
    side: Side,
    request: Request<RequestBody>,
    spare: Option<&Spare>,
) -> Result<Response<ResponseBody>, Refusal> {
    let upstream = worker.shared.table.upstream(route.extraction, side);
    let progress = request.body().progress();
    let bound = worker.shared.settings.first_byte;
    let answer = forward(worker, upstream, request, spare);
    match first_byte(bound, progress.as_ref(), answer).await {
        Some(answer) => answer.map_err(Failure::refusal),
        None => Err(Refusal::Slow),
    }
}

/// Whether the other side may do better.
fn has_failed(answer: &Result<Response<ResponseBody>, Refusal>) -> bool {
    match answer {
        Err(refusal) => refusal.is_the_upstreams(),
        Ok(response) => matches!(
            response.status(),
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
        ),
    }
}

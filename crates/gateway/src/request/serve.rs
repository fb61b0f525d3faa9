//! One request, from its head to the head of its answer.

use super::{
    addressing::addressed,
    caller::Caller,
    client_body::ClientBody,
    dispatch::dispatch,
    failed_answer,
    operations::routing,
    outcome::Outcome,
    present_headers::PresentHeaders,
    read_your_writes::{renaming::Callers, response_tokens::ResponseTokens},
    record::RequestRecord,
    sanitize, upgrade, way,
};
use crate::{
    access::{self, Admission},
    base::{hop_by_hop, index::Place, peer::Peer, refusal::Refusal, target::BadTarget},
    body::{self, Inbound, Incoming},
    observe::labels::{code_label, method_label},
    request::{canary, client_connection::ClientConnection, observed::Observed},
    routing::table::RouteMatch,
    state::{recorder::Kind, under_way::TalliedRequest, worker::Worker},
    upstream::response_body::ResponseBody,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header, request::Parts};
use http_body::Body as _;
use protocol::Side;
use std::{rc::Rc, time::Instant};

/// Answers a request.
pub(crate) async fn serve(
    worker: &Rc<Worker>,
    peer: &Peer,
    connection: Option<&ClientConnection>,
    parts: &mut Parts,
    body: Incoming,
) -> Response<ClientBody> {
    let begun = Instant::now();
    let under_way = worker.under_way.begin();
    let method = method_label(&parts.method);
    let seen = PresentHeaders::of(&parts.headers);
    let brought = sanitize::correlation(&parts.headers, seen).cloned();
    let correlation = brought.unwrap_or_else(|| worker.correlation_id());
    let observed = Observed::begin(worker, peer, parts, &correlation, begun);
    let mut admission = Admission::default();
    let tokens = ResponseTokens::default();
    let callers = Callers::of(worker, &parts.headers);
    let mut own_path = None;
    let addressed = fits(worker, &body).and_then(|()| addressed(&worker.config, peer, parts));
    let (place, outcome) = match addressed {
        Err(refusal) => {
            body::refuse(parts, body).await;
            (Place::Elsewhere, without_place(parts, refusal))
        }
        Ok(_) if worker.config.pages.has(parts) => {
            body::refuse(parts, body).await;
            (Place::Elsewhere, own_page(worker, parts))
        }
        Ok(RouteMatch::ByOperation(sharing)) => {
            worker.under_way.at(&under_way, sharing.otherwise);
            let arrived = routing::Arrived {
                sharing,
                parts,
                body,
                seen,
                correlation: &correlation,
                tokens: &tokens,
                connection,
                observed: &observed,
            };
            let passed = Box::pin(routing::pass(worker, peer, arrived)).await;
            admission = passed.admission;
            (passed.place, passed.outcome)
        }
        Ok(RouteMatch::Place(place)) => {
            worker.under_way.at(&under_way, place);
            let length = body.size_hint().exact();
            let access = &worker.config.access;
            match access
                .admit(&worker.access_state, parts, length, peer, place)
                .await
            {
                Err(access::Answered(response)) => {
                    body::refuse(parts, body).await;
                    (place, Outcome::answered(response.map(ResponseBody::own)))
                }
                Ok(admitted) => {
                    admission = admitted;
                    let place = canary::split(worker, &admission, peer, parts, place);
                    observed.at(place);
                    let upgrade = upgrade::asked(parts, &body);
                    let vouched = way::vouched(&worker.config, seen, peer, &parts.headers);
                    sanitize::outgoing(parts, seen, peer, vouched, &correlation);
                    admission.introduce(&mut parts.headers);
                    own_path = (place == Place::Elsewhere).then(|| parts.uri.clone());
                    let kind = worker.config.table.kind(place, parts.method.as_str());
                    let caller = Caller {
                        peer,
                        admission: &admission,
                        tokens: Some(&tokens),
                        connection,
                        observed: Some(&observed),
                    };
                    observed.introduce(&mut parts.headers);
                    let outcome = if worker.config.table.refuses(place) {
                        no_route(parts, body).await
                    } else if let Some(asked) = upgrade {
                        Box::pin(upgrade::upgrade(worker, caller, &[place], asked, parts)).await
                    } else {
                        let body = Inbound::Unread(body);
                        dispatch(worker, place, kind, parts, caller, body).await
                    };
                    (place, outcome)
                }
            }
        }
    };
    let Outcome { answer, side } = outcome;
    let mut response = for_client(worker, answer, side);
    callers.renamed_by(worker, response.headers());
    tokens.tell(&worker.config, peer, response.headers_mut());
    admission.decorate(response.headers_mut());
    sanitize::correlate(response.headers_mut(), correlation);
    observed.at(place);
    let told = observed.end(side, &response);
    let kind = Kind {
        place,
        method,
        code: code_label(response.status()),
        side,
    };
    record(worker, kind, own_path.as_ref(), begun, &response);
    worker.under_way.at(&under_way, place);
    until_its_end(response, under_way, told, connection)
}

/// Counts a request, and what a side itself answered with 5xx by its route once more.
fn record(
    worker: &Worker,
    kind: Kind,
    path: Option<&Uri>,
    begun: Instant,
    response: &Response<ResponseBody>,
) {
    worker.recorder.record(kind, begun.elapsed());
    if let Some(side) = kind.side
        && response.extensions().get::<Refusal>().is_none()
    {
        let path = path.map(Uri::path);
        failed_answer::note(worker, (kind.place, side), kind.method, path, response);
    }
}

/// Keeps a request under way until its answer, or the connection that it was upgraded to,
/// has ended. It is told of at the end of its answer, and at once where nothing of that is
/// waited for.
fn until_its_end(
    response: Response<ResponseBody>,
    under_way: TalliedRequest,
    told: Option<Box<RequestRecord>>,
    connection: Option<&ClientConnection>,
) -> Response<ClientBody> {
    if let (StatusCode::SWITCHING_PROTOCOLS, Some(connection)) = (response.status(), connection) {
        under_way.becomes_stream();
        connection.tunnel.accompany(under_way);
        return response.map(ClientBody::alone);
    }
    if is_event_stream(response.headers()) {
        under_way.becomes_stream();
    }
    let told = told.filter(|record| record.is_passing());
    response.map(|body| ClientBody::new(body, under_way, told))
}

/// Whether an answer is a stream of server-sent events.
fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let events = b"text/event-stream";
    kind.and_then(|kind| kind.as_bytes().get(..events.len()))
        .is_some_and(|kind| kind.eq_ignore_ascii_case(events))
}

/// What becomes of a request that belongs nowhere. `OPTIONS *` asks for what the server
/// as a whole can (RFC 9110, 9.3.7): that is the gateway.
fn without_place(parts: &Parts, refusal: Refusal) -> Outcome {
    if refusal != Refusal::BadTarget(BadTarget::Server) || parts.method != Method::OPTIONS {
        return Outcome::refused(refusal);
    }
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let methods = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    response.headers_mut().insert(header::ALLOW, methods);
    Outcome::answered(response)
}

/// Answers with a page of the gateway's own.
fn own_page(worker: &Worker, parts: &Parts) -> Outcome {
    let config = &worker.config;
    let pages = &config.pages;
    Outcome::answered(pages.answer(&config.upstreams, &config.access, parts))
}

/// Refuses what no route matches.
async fn no_route(parts: &Parts, body: Incoming) -> Outcome {
    body::refuse(parts, body).await;
    Outcome::refused(Refusal::NoRoute)
}

/// An upstream's answer without its hop-by-hop headers, or a refusal's.
fn for_client(
    worker: &Worker,
    answer: Result<Response<ResponseBody>, Refusal>,
    side: Option<Side>,
) -> Response<ResponseBody> {
    match (answer, side) {
        (Ok(response), Some(side)) => {
            let (mut parts, body) = response.into_parts();
            hop_by_hop::sanitize_response(&mut parts, side);
            Response::from_parts(parts, body)
        }
        (Ok(response), None) => response,
        (Err(refusal), _) => {
            worker.state.metrics.refused(refusal);
            refusal.response().map(ResponseBody::own)
        }
    }
}

/// Refuses a body that says itself that it is too large.
fn fits(worker: &Worker, body: &Incoming) -> Result<(), Refusal> {
    match worker.config.settings.client.body_bytes {
        Some(most) if body.size_hint().lower() > most => Err(Refusal::BodyTooLarge),
        _ => Ok(()),
    }
}

//! One request, from its head to the head of its answer.

use crate::{
    access::{self, Admission},
    answer::Refusal,
    body::{self, Inbound, ResponseBody},
    caller::{Caller, Told},
    canary,
    hygiene::{self, Seen},
    metrics::{Kind, code_label, method_label},
    observe::Observer,
    operation::passage::{self, Passed},
    peer::Peer,
    read,
    setup::Setup,
    stay,
    table::{Found, Place},
    target::Target,
    upgrade,
    worker::Worker,
    write,
};
use http::{
    Response, Uri,
    request::Parts,
    uri::{Parts as UriParts, PathAndQuery},
};
use hyper::body::{Body as _, Incoming};
use plan::MethodKind;
use protocol::Side;
use std::{rc::Rc, time::Instant};

/// How a request ended, and at which side. No side: it was sent nowhere.
pub(crate) struct Outcome {
    pub(crate) side: Option<Side>,
    pub(crate) answer: Result<Response<ResponseBody>, Refusal>,
}

impl Outcome {
    /// Sent nowhere.
    pub(crate) fn refused(refusal: Refusal) -> Self {
        Self {
            side: None,
            answer: Err(refusal),
        }
    }

    /// Answered here.
    pub(crate) fn answered(response: Response<ResponseBody>) -> Self {
        Self {
            side: None,
            answer: Ok(response),
        }
    }

    pub(crate) fn at(side: Side, answer: Result<Response<ResponseBody>, Refusal>) -> Self {
        Self {
            side: Some(side),
            answer,
        }
    }
}

/// Answers a request.
pub(crate) async fn serve(
    worker: &Rc<Worker>,
    peer: &Peer,
    parts: &mut Parts,
    body: Incoming,
) -> Response<ResponseBody> {
    let begun = Instant::now();
    let method = method_label(&parts.method);
    let seen = Seen::of(&parts.headers);
    let correlation = match hygiene::correlation(&parts.headers, seen) {
        Some(brought) => brought.clone(),
        None => worker.correlation_id(),
    };
    let mut observed = Observer::begin(worker, peer, parts, &correlation, begun);
    let mut admission = Admission::default();
    let told = Told::default();
    let addressed = fits(worker, &body).and_then(|()| addressed(&worker.setup, parts));
    let (place, outcome) = match addressed {
        Err(refusal) => {
            body::refuse(parts, body).await;
            (Place::Elsewhere, Outcome::refused(refusal))
        }
        Ok(_) if worker.setup.pages.has(parts) => {
            body::refuse(parts, body).await;
            let answer = worker.setup.pages.answer(&worker.setup, parts);
            (Place::Elsewhere, Outcome::answered(answer))
        }
        Ok(Found::Shared(sharing)) => {
            let arrived = passage::Arrived {
                sharing,
                parts,
                body,
                seen,
                correlation: &correlation,
                told: &told,
                observed: &observed,
            };
            let passed = Box::pin(passage::pass(worker, peer, arrived)).await;
            let Passed { place, outcome, .. } = passed;
            admission = passed.admission;
            (place, outcome)
        }
        Ok(Found::Place(place)) => {
            match access::admit(worker, parts, body.size_hint().exact(), peer, place).await {
                Err(access::Answered(response)) => {
                    body::refuse(parts, body).await;
                    (place, Outcome::answered(*response))
                }
                Ok(admitted) => {
                    admission = admitted;
                    let place = canary::split(worker, &admission, peer, parts, place);
                    observed.at(place);
                    let upgrade = upgrade::asked(parts, &body);
                    hygiene::outgoing(parts, seen, peer, &correlation);
                    admission.introduce(&mut parts.headers);
                    let kind = worker.setup.table.kind(place, parts.method.as_str());
                    let caller = Caller {
                        peer,
                        admission: &admission,
                        told: Some(&told),
                    };
                    observed.introduce(&mut parts.headers);
                    let outcome = if let Some(asked) = upgrade {
                        Box::pin(upgrade::upgrade(worker, caller, &[place], asked, parts)).await
                    } else {
                        let body = Inbound::Coming(body);
                        dispatch(worker, place, kind, parts, caller, body).await
                    };
                    (place, outcome)
                }
            }
        }
    };
    let mut response = match (outcome.answer, outcome.side) {
        (Ok(response), Some(side)) => {
            let (mut parts, body) = response.into_parts();
            hygiene::incoming(&mut parts, side);
            Response::from_parts(parts, body)
        }
        (Ok(response), None) => response,
        (Err(refusal), _) => {
            worker.shared.metrics.refused(refusal);
            refusal.response()
        }
    };
    told.tell(&worker.setup, peer, response.headers_mut());
    admission.decorate(response.headers_mut());
    hygiene::correlate(response.headers_mut(), correlation);
    observed.at(place);
    observed.end(outcome.side, &response);
    let code = code_label(response.status());
    worker.recorder.record(
        Kind {
            place,
            method,
            code,
            side: outcome.side,
        },
        begun.elapsed(),
    );
    response
}

/// Sends a request that belongs to one place where it is to go.
pub(crate) async fn dispatch(
    worker: &Rc<Worker>,
    place: Place,
    kind: MethodKind,
    parts: &mut Parts,
    caller: Caller<'_>,
    body: Inbound,
) -> Outcome {
    match (place, kind) {
        (Place::Elsewhere, _) => stay::stay(worker, None, kind, parts, caller, body).await,
        (Place::Route(route), _) => {
            stay::stay(worker, Some(route), kind, parts, caller, body).await
        }
        (Place::Extraction(route), MethodKind::Read) => {
            read::read(worker, route, parts, caller, body).await
        }
        // Writes are few and their future is large.
        (Place::Extraction(route), MethodKind::Write) => {
            Box::pin(write::write(worker, route, parts, caller, body)).await
        }
    }
}

/// Refuses a body that says itself that it is too large.
fn fits(worker: &Worker, body: &Incoming) -> Result<(), Refusal> {
    match worker.setup.settings.client.body_bytes {
        Some(most) if body.size_hint().lower() > most => Err(Refusal::BodyTooLarge),
        _ => Ok(()),
    }
}

/// Checks a head, makes its target the one text that is matched and forwarded,
/// and finds its route, as far as the head says it.
pub(crate) fn addressed(setup: &Setup, parts: &mut Parts) -> Result<Found, Refusal> {
    hygiene::check(parts)?;
    let target = Target::read(parts.uri.path())?;
    let host = hygiene::host(&parts.headers);
    let head = hygiene::head(parts, host.as_deref(), &target);
    let found = setup
        .table
        .find_place(head)
        .map_err(|_| crate::target::BadTarget::Ambiguous)?;
    if parts.uri.authority().is_some() || *target.path != *parts.uri.path() {
        parts.uri = origin_form(&target.path, parts.uri.query())?;
    }
    Ok(found)
}

/// A target of a path and a query.
pub(crate) fn origin_form(path: &str, query: Option<&str>) -> Result<Uri, Refusal> {
    let wrong = || Refusal::BadHead("the target cannot be read");
    let text = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = UriParts::default();
    parts.path_and_query = Some(PathAndQuery::try_from(text).map_err(|_| wrong())?);
    Uri::from_parts(parts).map_err(|_| wrong())
}

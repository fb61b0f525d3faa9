//! The way of a request whose operations say where it belongs: who may ask is
//! asked before the body is read, where the answer does not depend on it.

use super::batch;
use crate::request::{choose, client_connection::ClientConnection, dispatch};
use crate::{
    access::{self, Admission},
    base::{bad_operation::BadOperation, index::Place, peer::Peer, refusal::Refusal},
    body::{self, Collected, Inbound, Incoming, Reserved, Whole, collect::collect},
    request::{
        caller::{Caller, Client},
        observed::Observed,
        outcome::Outcome,
        passthrough,
        present_headers::PresentHeaders,
        read_your_writes::response_tokens::ResponseTokens,
        replayable, sanitize, upgrade, way,
        write::{self, Entered, Ready},
    },
    routing::{
        operations::{
            parts::{self, Choice, Part, Way},
            query::OperationQuery,
        },
        table::Sharing,
    },
    state::{config::Config, worker::Worker},
    upstream::response_body::ResponseBody,
};
use http::{HeaderValue, request::Parts};
use http_body::Body as _;
use plan::{MethodKind, RouteTimeouts};
use protocol::Side;
use std::rc::Rc;

/// A request as it came.
pub(crate) struct Arrived<'a> {
    pub(crate) sharing: Box<Sharing>,
    pub(crate) parts: &'a mut Parts,
    pub(crate) body: Incoming,
    pub(crate) seen: PresentHeaders,
    pub(crate) correlation: &'a HeaderValue,
    /// What its answer will tell.
    pub(crate) tokens: &'a ResponseTokens,
    pub(crate) connection: Option<&'a ClientConnection>,
    pub(crate) observed: &'a Observed<'a>,
}

/// How it went.
pub(crate) struct Passed {
    /// What it is counted under: the place of its first write, else its first.
    pub(crate) place: Place,
    pub(crate) admission: Admission,
    pub(crate) outcome: Outcome,
}

/// Finds out what a request asks for, and sends it to who may answer that.
pub(crate) async fn pass(worker: &Rc<Worker>, peer: &Peer, arrived: Arrived<'_>) -> Passed {
    let place = arrived.sharing.otherwise;
    let mut passed = Passed {
        place,
        admission: Admission::default(),
        outcome: Outcome::refused(Refusal::Stopping),
    };
    passed.outcome = match admitted(worker, peer, arrived, &mut passed).await {
        Ok(outcome) | Err(outcome) => outcome,
    };
    passed
}

async fn admitted(
    worker: &Rc<Worker>,
    peer: &Peer,
    arrived: Arrived<'_>,
    passed: &mut Passed,
) -> Result<Outcome, Outcome> {
    let Arrived {
        sharing,
        parts,
        body,
        seen,
        correlation,
        tokens,
        connection,
        observed,
    } = arrived;
    let (table, access) = (&worker.config.table, &worker.config.access);
    let all = sharing.places(table);
    observed.at(sharing.otherwise);
    let demand_alike = access.demand_alike(&all);
    if demand_alike {
        let length = body.size_hint().exact();
        match access
            .admit(&worker.access_state, parts, length, peer, sharing.otherwise)
            .await
        {
            Ok(admission) => passed.admission = admission,
            Err(access::Answered(response)) => {
                body::refuse(parts, body).await;
                return Err(Outcome::answered(response.map(ResponseBody::own)));
            }
        }
    }
    let upgrade = upgrade::asked(parts, &body);
    let limit = sharing.body_bytes(table);
    let demanded = passed.admission.body_bytes();
    let here = here(worker, parts, body, limit, demanded).await;
    let (whole, reserved) = here.map_err(Outcome::refused)?;
    let refused = |bad: BadOperation| Outcome::refused(bad.into());
    let asked = match (&upgrade, sharing.dialect(table)) {
        (None, Some(dialect)) => {
            crate::routing::operations::read(dialect, parts, whole.as_bytes()).map_err(refused)?
        }
        _ => OperationQuery::Anything,
    };
    let touched = sharing.parts(table, &asked, parts.method.as_str());
    let places: Vec<Place> = touched.iter().map(|part| part.place).collect();
    passed.place = speaker(&touched).unwrap_or(sharing.otherwise);
    observed.at(passed.place);
    if !demand_alike {
        if !access.demand_alike(&places) {
            return Err(refused(BadOperation::DemandsDiffer));
        }
        let length = Some(whole.len());
        match access
            .admit(&worker.access_state, parts, length, peer, passed.place)
            .await
        {
            Ok(admission) => passed.admission = admission,
            Err(access::Answered(response)) => {
                return Err(Outcome::answered(response.map(ResponseBody::own)));
            }
        }
    }
    if places.iter().any(|place| table.refuses(*place)) {
        return Err(Outcome::refused(Refusal::NoRoute));
    }
    let vouched = way::vouched(&worker.config, seen, peer, &parts.headers);
    sanitize::outgoing(parts, seen, peer, vouched, correlation);
    passed.admission.introduce(&mut parts.headers);
    observed.introduce(&mut parts.headers);
    let body = Inbound::Collected(whole, reserved);
    let caller = Caller {
        peer,
        admission: &passed.admission,
        tokens: Some(tokens),
        connection,
        observed: Some(observed),
    };
    Ok(match (upgrade, &touched[..]) {
        (Some(asked), _) => upgrade::upgrade(worker, caller, &all, asked, parts).await,
        (None, [one]) => dispatch::dispatch(worker, one.place, one.kind, parts, caller, body).await,
        (None, many) => together(worker, many, parts, caller, body).await,
    })
}

/// The place that speaks for several.
fn speaker(touched: &[Part]) -> Option<Place> {
    let writes = touched.iter().find(|part| part.kind == MethodKind::Write);
    writes.or(touched.first()).map(|part| part.place)
}

/// Reads a whole body, within `limit`: what is read to be routed can then be held, too.
async fn here(
    worker: &Worker,
    parts: &Parts,
    body: Incoming,
    limit: usize,
    demanded: Option<u64>,
) -> Result<(Whole, Reserved), Refusal> {
    if body.size_hint().lower() > limit as u64 {
        body::refuse(parts, body).await;
        return Err(BadOperation::TooLarge.into());
    }
    match collect(body, limit, worker.intake(&RouteTimeouts::NONE, demanded)).await? {
        Collected::Whole(whole, reserved) => Ok((whole, reserved)),
        Collected::Large(begun) => {
            begun.discard().await;
            Err(BadOperation::TooLarge.into())
        }
        Collected::Crowded(_) => Err(Refusal::BuffersFull),
    }
}

/// Sends a request of several places as a whole: where its writes belong, or
/// where all its reads can be answered.
async fn together(
    worker: &Rc<Worker>,
    touched: &[Part],
    parts: &mut Parts,
    caller: Caller<'_>,
    body: Inbound,
) -> Outcome {
    let table = &worker.config.table;
    let client = caller.client(&parts.headers, &parts.uri);
    let writes: Vec<Place> = touched
        .iter()
        .filter(|part| part.kind == MethodKind::Write)
        .map(|part| part.place)
        .collect();
    if !writes.is_empty() {
        return write_together(worker, touched, &writes, parts, caller, body).await;
    }
    let way = way_of_reads(&worker.config, touched, client);
    strip_force(worker, touched, parts);
    match way {
        Err(refusal) => Outcome::refused(refusal),
        Ok(way) => {
            let route = way.redirect.map(|route| table.passthrough(route));
            let kind = MethodKind::Read;
            passthrough::to(worker, way.upstream, route, kind, parts, caller, body).await
        }
    }
}

/// Where all reads of a request can be answered.
pub(crate) fn way_of_reads(
    config: &Config,
    touched: &[Part],
    client: Client<'_>,
) -> Result<Way, Refusal> {
    let choices: Result<Vec<Choice>, Refusal> = touched
        .iter()
        .map(|part| choice(config, part.place, client))
        .collect();
    Ok(parts::in_common(&choices?)?)
}

/// The ways that a read of one place may take.
fn choice(config: &Config, place: Place, client: Client<'_>) -> Result<Choice, Refusal> {
    let Place::Extraction(route) = place else {
        let fixed = Way::fixed(&config.table, place).ok_or(BadOperation::Apart)?;
        return Ok(Choice::only(fixed));
    };
    let extraction = route.extraction;
    let decided = choose::decided(config, route, client);
    let verdict = decided.verdict?;
    let other = verdict.side.other();
    // While changes flow to the monolith, it can answer whatever share of the reads goes
    // there; that it has the client's own writes is waited for.
    let follows = decided
        .routing_state
        .routing()
        .is_some_and(|now| now.follows);
    let is_fit = other == verdict.owner || (other == Side::Monolith && follows);
    let way = |side| Way::to_side(&config.table, extraction, side);
    Ok(Choice {
        preferred: way(verdict.side),
        also: is_fit.then(|| way(other)),
    })
}

/// Sends writes of several places, and what is read beside them, to their owner.
async fn write_together(
    worker: &Rc<Worker>,
    touched: &[Part],
    writes: &[Place],
    parts: &mut Parts,
    caller: Caller<'_>,
    body: Inbound,
) -> Outcome {
    let table = &worker.config.table;
    let Inbound::Collected(whole, reserved) = body else {
        return Outcome::refused(BadOperation::Apart.into());
    };
    let ready = Ready::here(whole, reserved, RouteTimeouts::NONE);
    let client = caller.client(&parts.headers, &parts.uri);
    let admitted = match batch::admit(worker, writes, client, ready.held_bytes).await {
        Ok(admitted) => admitted,
        Err(refusal) => return Outcome::refused(refusal),
    };
    let rights = admitted.rights.into_iter();
    let entered: Vec<Entered> = rights
        .map(|(route, right, flight)| Entered::new(worker, route, client, right, flight))
        .collect();
    strip_force(worker, touched, parts);
    if let Some(route) = admitted.way.redirect
        && let Err(refusal) = passthrough::redirect(worker, table.passthrough(route), parts)
    {
        entered.into_iter().for_each(Entered::not_sent);
        return Outcome::refused(refusal);
    }
    // Of several extractions it has no one scratch upstream.
    let request = replayable::request(parts, ready);
    write::send(
        worker,
        admitted.way.upstream,
        entered,
        request,
        None,
        caller,
    )
    .await
}

/// Takes away by which headers testers choose: they are for the gateway only.
fn strip_force(worker: &Worker, touched: &[Part], parts: &mut Parts) {
    for part in touched {
        if let Place::Extraction(route) = part.place
            && let Some(force) = &worker.config.features.get(route.extraction).force
        {
            force.strip(&mut parts.headers);
        }
    }
}

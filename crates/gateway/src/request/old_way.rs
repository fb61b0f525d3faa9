//! Requests for what an extraction has left behind at the monolith: counted, and refused
//! while a brown-out looks for who still comes.
//!
//! Old ways are routes of the plan with `retires-with`, and the extraction's own routes where
//! a request of theirs is still to go to the monolith though the service gets all reads: its
//! client chose that. None is refused unless the service owns the data for sure and gets all
//! other requests.

use crate::{
    base::{
        index::{ExtractionIndex, Place},
        refusal::Refusal,
        removal::Removal,
    },
    observe::labels::method_label,
    routing::decision::Lease,
    state::{config::Config, gateway_state::GatewayState, worker::Worker},
};
use http::{HeaderMap, Method, request::Parts};
use plan::Percent;
use protocol::Side;

/// Lets a request of a place pass. The error is what its client is told.
pub(super) fn pass(worker: &Worker, place: Place, parts: &Parts) -> Result<(), Refusal> {
    let Place::Route(route) = place else {
        return Ok(());
    };
    let passthrough = worker.config.table.passthrough(route);
    let Some(extraction) = passthrough.retires_with else {
        return Ok(());
    };
    let path = passthrough.route.route.path.to_string();
    come(worker, extraction, &path, (&parts.method, &parts.headers))
}

/// The same of a request that an extraction's own route is about to send to the monolith,
/// which does not own.
pub(super) fn pass_back(
    worker: &Worker,
    extraction: ExtractionIndex,
    path: &str,
    head: (&Method, &HeaderMap),
) -> Result<(), Refusal> {
    if gets_all(&worker.state, extraction) {
        come(worker, extraction, path, head)
    } else {
        // The plan has its client read there.
        Ok(())
    }
}

fn come(
    worker: &Worker,
    extraction: ExtractionIndex,
    path: &str,
    (method, headers): (&Method, &HeaderMap),
) -> Result<(), Refusal> {
    let removal = refused(&worker.state, extraction);
    let ways = &worker.state.extraction(extraction).old_ways;
    let route = format!("{} {path}", method_label(method));
    ways.count(route, headers, removal.is_some());
    removal.map_or(Ok(()), |removal| Err(Refusal::BrownOut(removal)))
}

/// What a request of a place would be told, where it is refused now. `goes_back`: whether
/// it would go to the monolith.
pub(crate) fn refusal(config: &Config, place: Place, goes_back: bool) -> Option<Refusal> {
    let extraction = match place {
        Place::Route(route) => config.table.passthrough(route).retires_with,
        Place::Extraction(route) => goes_back.then_some(route.extraction),
        Place::Elsewhere => None,
    };
    refused(&config.state, extraction?).map(Refusal::BrownOut)
}

/// What clients are told, where they are refused now.
fn refused(state: &GatewayState, extraction: ExtractionIndex) -> Option<Removal> {
    let removal = state.extraction(extraction).old_ways.refused()?;
    (gets_all(state, extraction) && state.lease() == Lease::Running).then_some(removal)
}

/// Whether the service owns, and gets all reads that choose nothing else.
fn gets_all(state: &GatewayState, extraction: ExtractionIndex) -> bool {
    let snapshot = state.snapshot.load();
    let routing_state = snapshot.routing_state(extraction);
    let owner = routing_state.decided().map(|(owner, ..)| owner);
    let reads = routing_state.routing().map(|routing| routing.reads);
    (owner, reads) == (Some(Side::Service), Some(Percent::ALL))
}

//! Whether a request goes to its route's canary.

use crate::{
    access::Admission,
    base::{index::Place, peer::Peer},
    routing::canary::CanaryClient,
    state::worker::Worker,
};
use http::request::Parts;

/// Where a request belongs, canaries considered. Before its head is changed
/// for the upstream.
pub(crate) fn split(
    worker: &Worker,
    admission: &Admission,
    peer: &Peer,
    parts: &Parts,
    place: Place,
) -> Place {
    let Place::Route(passthrough) = place else {
        return place;
    };
    let config = &worker.config;
    let Some(canary) = &config.table.passthrough(passthrough).canary else {
        return place;
    };
    let address = || {
        let client = config.access.client(peer, &parts.headers);
        client.to_string()
    };
    let client = CanaryClient {
        headers: &parts.headers,
        consumer: admission.consumer(),
        address: &address,
        random: &|| worker.upstreams.random.next(),
    };
    if canary.picks(&client) {
        Place::Route(canary.to)
    } else {
        place
    }
}

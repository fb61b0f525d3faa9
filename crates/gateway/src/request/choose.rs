//! Which side a client's requests of an extraction go to.

use super::{caller::Client, read_your_writes::response_tokens::Told};
use crate::{
    base::{cohort::Bucket, index::RouteIndex, refusal::Refusal},
    routing::{
        decision::{self, Asking, Choosing, ReadVerdict, Why},
        snapshot::Standing,
        write_token::Shown,
    },
    state::config::Setup,
};
use http::HeaderMap;
use protocol::Side;

/// Where a read goes as things stand, and what that was decided by.
pub(crate) struct Decided<'a> {
    pub(crate) standing: Standing,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) shown: Shown,
    pub(crate) verdict: Result<ReadVerdict, Refusal>,
}

/// Decides a read by who its client is, what it or a flag has chosen, and what
/// it wrote.
pub(crate) fn decided<'a>(setup: &Setup, route: RouteIndex, client: Client<'a>) -> Decided<'a> {
    let (shared, extraction) = (&setup.shared, route.extraction);
    let entry = setup.table.entry(extraction);
    let pins = &shared.extraction(extraction).pins;
    let pattern = &entry.routes[route.route].path;
    let key = setup
        .features
        .get(extraction)
        .key
        .find(client.key_input(), Some(pattern));
    let standing = shared.snapshot.load().standing(extraction);
    let shown = Told::shown(client.caller.told, setup, extraction, client.headers);
    let asking = Asking {
        key,
        forced: chosen(setup, route, client.headers, key),
        bond: shown.bond(standing, |side| pins.applied(side)),
    };
    let pinned = |owner| pins.bind(owner, key.map(|key| pins.client(key)));
    let verdict = decision::read(standing, shared.lease(), &entry.name, asking, pinned);
    Decided {
        standing,
        key,
        shown,
        verdict,
    }
}

/// The side that a client chooses, or a flag for the client; and which of them.
/// The client comes first: it has a tester's key.
pub(crate) fn chosen(
    setup: &Setup,
    route: RouteIndex,
    headers: &HeaderMap,
    key: Option<&[u8]>,
) -> Option<(Side, Why)> {
    let force = setup.features.get(route.extraction).force.as_ref();
    let forced = force.and_then(|force| force.side(headers));
    let flagged = || setup.flags.side(route.extraction, key);
    forced
        .map(|side| (side, Why::Forced))
        .or_else(|| flagged().map(|side| (side, Why::Flagged)))
}

/// What a client's side follows from, where both sides share the data.
pub(crate) fn choosing(setup: &Setup, route: RouteIndex, client: Client<'_>) -> Choosing {
    let entry = setup.table.entry(route.extraction);
    let pattern = &entry.routes[route.route].path;
    let key = setup
        .features
        .get(route.extraction)
        .key
        .find(client.key_input(), Some(pattern));
    Choosing {
        bucket: key.map(|key| Bucket::of(&entry.name, key)),
        forced: chosen(setup, route, client.headers, key),
    }
}

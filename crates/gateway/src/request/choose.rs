//! Which side a client's requests of an extraction go to.

use super::{caller::Client, read_your_writes::response_tokens::ResponseTokens};
use crate::{
    base::{cohort::Bucket, index::RouteIndex, refusal::Refusal},
    routing::{
        decision::{self, Asking, Choosing, ReadVerdict, Why},
        snapshot::RoutingState,
        write_token::PresentedToken,
    },
    state::{config::Config, release_order::ClientOf},
};
use http::HeaderMap;
use protocol::Side;

/// Where a read goes as things stand, and what that was decided by.
pub(crate) struct Decided<'a> {
    pub(crate) routing_state: RoutingState,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) presented: PresentedToken,
    pub(crate) verdict: Result<ReadVerdict, Refusal>,
}

/// Decides a read by who its client is, what it or a flag has chosen, and what
/// it wrote.
pub(crate) fn decided<'a>(config: &Config, route: RouteIndex, client: Client<'a>) -> Decided<'a> {
    let (state, extraction) = (&config.state, route.extraction);
    let entry = config.table.entry(extraction);
    let pins = &state.extraction(extraction).pins;
    let pattern = &entry.routes[route.route].path;
    let key = config
        .features
        .get(extraction)
        .key
        .find(client.key_input(), Some(pattern));
    let routing_state = state.snapshot.load().routing_state(extraction);
    let presented =
        ResponseTokens::presented(client.caller.tokens, config, extraction, client.headers)
            .of_life(routing_state);
    let asking = Asking {
        key,
        forced: chosen(config, route, client.headers, key),
        bond: presented.bond(routing_state, |side| pins.applied(side)),
    };
    let pinned = |owner| pins.bind(owner, key.map(|key| pins.client(key)));
    let verdict = decision::read(routing_state, state.lease(), &entry.name, asking, pinned);
    Decided {
        routing_state,
        key,
        presented,
        verdict,
    }
}

/// The side that a client chooses, or a flag for the client; and which of them.
/// The client comes first: it has a tester's key.
pub(crate) fn chosen(
    config: &Config,
    route: RouteIndex,
    headers: &HeaderMap,
    key: Option<&[u8]>,
) -> Option<(Side, Why)> {
    let force = config.features.get(route.extraction).force.as_ref();
    let forced = force.and_then(|force| force.side(headers));
    let flagged = || config.flags.side(route.extraction, key);
    forced
        .map(|side| (side, Why::Forced))
        .or_else(|| flagged().map(|side| (side, Why::Flagged)))
}

/// The client as its extraction knows it, where it has a key and its writes may be held.
pub(crate) fn client_of(
    config: &Config,
    route: RouteIndex,
    client: Client<'_>,
) -> Option<ClientOf> {
    let extraction = route.extraction;
    let state = config.state.extraction(extraction);
    let pattern = &config.table.entry(extraction).routes[route.route].path;
    let key = &config.features.get(extraction).key;
    let key = key.find(client.key_input(), Some(pattern))?;
    let may_be_held = !state.ledger.age_max().is_zero();
    may_be_held.then(|| (extraction, state.pins.client(key)))
}

/// What a client's side follows from, where both sides share the data.
pub(crate) fn choosing(config: &Config, route: RouteIndex, client: Client<'_>) -> Choosing {
    let entry = config.table.entry(route.extraction);
    let pattern = &entry.routes[route.route].path;
    let key = config
        .features
        .get(route.extraction)
        .key
        .find(client.key_input(), Some(pattern));
    Choosing {
        bucket: key.map(|key| Bucket::of(&entry.name, key)),
        forced: chosen(config, route, client.headers, key),
    }
}

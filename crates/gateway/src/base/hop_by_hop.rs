//! Headers that are for one connection only (RFC 9110, 7.6.1), and what may
//! stand in trailers (6.5.1).

use super::{
    header_class::{HeaderClass, folded_class, folds_alike},
    headers::{BANYAN_SIDE, FORWARDED_FOR},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode, Version,
    header::{self, Entry},
    response::Parts,
};
use protocol::Side;

/// Never in trailers, besides what frames, is hop-by-hop, or says who asks and from
/// where: what routes, identifies, says how to read the body, or modifies a request
/// (RFC 9110, 6.5.1).
const NOT_IN_TRAILERS: [&[u8]; 14] = [
    b"host",
    b"authorization",
    b"cookie",
    b"set-cookie",
    b"www-authenticate",
    b"content-encoding",
    b"content-range",
    b"content-type",
    b"trailer",
    b"cache-control",
    b"max-forwards",
    b"range",
    b"x-banyan-side",
    b"x-http-method-override",
];

/// Whether a field may stand in trailers, however an upstream spells its name: one
/// that merges trailers into the head must not be misled by them.
pub(crate) fn may_be_trailer(name: &[u8]) -> bool {
    folded_class(name) == HeaderClass::Other
        && !NOT_IN_TRAILERS.iter().any(|other| folds_alike(name, other))
}

/// Makes an upstream's head one for a client.
pub(crate) fn sanitize_response(parts: &mut Parts, side: Side) {
    parts.version = Version::HTTP_11;
    // Here it was asked for: others do not get this far.
    let upgrade = (parts.status == StatusCode::SWITCHING_PROTOCOLS)
        .then(|| parts.headers.remove(header::UPGRADE))
        .flatten();
    remove_hop_by_hop(&mut parts.headers);
    if let Some(protocol) = upgrade {
        write_upgrade(&mut parts.headers, protocol);
    }
    parts
        .headers
        .insert(BANYAN_SIDE, HeaderValue::from_static(side.as_str()));
}

/// Removes from trailers what may stand in heads only: what frames, routes or
/// identifies was decided when they come.
pub(crate) fn trailers(trailers: &mut HeaderMap) {
    keep_trailers(trailers, |_| true);
}

/// The same, and all that these do not admit either.
pub(crate) fn keep_trailers(trailers: &mut HeaderMap, admits: impl Fn(&[u8]) -> bool) {
    let is_bad = |name: &&HeaderName| {
        let name = name.as_str().as_bytes();
        !may_be_trailer(name) || !admits(name)
    };
    let bad: Vec<HeaderName> = trailers.keys().filter(is_bad).cloned().collect();
    for name in bad {
        trailers.remove(name);
    }
}

pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let class = |name: &HeaderName| HeaderClass::of(name.as_str().as_bytes());
    let is_hop_by_hop = |name: &&HeaderName| class(name) == HeaderClass::HopByHop;
    let mut found = headers.keys().filter(is_hop_by_hop).cloned();
    let (first, second) = match (found.next(), found.next()) {
        (None, _) => return,
        (Some(first), second) => (first, second),
    };
    let others: Vec<HeaderName> = second.into_iter().chain(found).collect();
    if others.is_empty()
        && let Entry::Occupied(entry) = headers.entry(&first)
        && entry.iter().all(names_nothing)
    {
        // Nearly always.
        entry.remove_entry_mult();
        return;
    }
    // Of those that it names, these are hop-by-hop anyway, or not the sender's
    // to remove: they frame and address the message.
    let survives = |name: &HeaderName| {
        name == "close"
            || matches!(class(name), HeaderClass::HopByHop | HeaderClass::Length)
            || [header::HOST, FORWARDED_FOR].contains(name)
    };
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| !survives(name))
        .collect();
    headers.remove(first);
    for name in others.iter().chain(&named) {
        headers.remove(name);
    }
}

/// Whether a value, if it is of `Connection`, names no header.
fn names_nothing(value: &HeaderValue) -> bool {
    matches!(value.as_bytes(), b"keep-alive" | b"Keep-Alive" | b"close")
}

/// Writes the two headers that make an upgrade of a message.
pub(crate) fn write_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, protocol);
}

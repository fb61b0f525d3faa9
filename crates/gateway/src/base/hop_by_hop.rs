//! Headers that are for one connection only (RFC 9110, 7.6.1), and what may
//! stand in trailers (6.5.1).

use super::headers::{BANYAN_SIDE, CORRELATION_ID, FORWARDED_FOR, FORWARDED_PROTO, is_reserved};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode, Version,
    header::{self, Entry},
    response::Parts,
};
use protocol::Side;

/// Whether a header is meant for one connection only (RFC 9110, 7.6.1), besides
/// those that `Connection` names.
pub(crate) fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Never in trailers, besides the hop-by-hop ones.
const NOT_IN_TRAILERS: [HeaderName; 13] = [
    header::AUTHORIZATION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::HOST,
    header::SET_COOKIE,
    header::TRAILER,
    BANYAN_SIDE,
    CORRELATION_ID,
    FORWARDED_FOR,
    FORWARDED_PROTO,
];

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

/// Removes from trailers what may stand in heads only (RFC 9110, 6.5.1): what
/// frames, routes or identifies was decided when they come.
pub(crate) fn trailers(trailers: &mut HeaderMap) {
    let is_bad = |name: &&HeaderName| {
        is_hop_by_hop(name.as_str()) || NOT_IN_TRAILERS.contains(name) || is_reserved(name)
    };
    let bad: Vec<HeaderName> = trailers.keys().filter(is_bad).cloned().collect();
    for name in bad {
        trailers.remove(name);
    }
}

pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let mut found = headers
        .keys()
        .filter(|name| is_hop_by_hop(name.as_str()))
        .cloned();
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
            || is_hop_by_hop(name.as_str())
            || [header::HOST, header::CONTENT_LENGTH, FORWARDED_FOR].contains(name)
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

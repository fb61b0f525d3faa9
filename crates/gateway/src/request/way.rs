//! What upstreams are told of the way that a request has come.
//!
//! They build links of it, write it into their logs, limit by it, and let in by it. So
//! it comes from the gateway, or from a proxy in front that the plan trusts
//! (`gateway.trusted`), and never from a client.

use super::present_headers::PresentHeaders;
use crate::{
    base::{
        header_class::{Forwarding, HeaderClass},
        headers::{FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO, REAL_IP},
        peer::{Peer, Scheme},
    },
    state::config::Config,
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::net::IpAddr;

/// Where a request's client is, where it comes from a proxy that is trusted and says
/// something of the way: else it makes no difference.
pub(super) fn vouched(
    config: &Config,
    seen: PresentHeaders,
    peer: &Peer,
    headers: &HeaderMap,
) -> Option<IpAddr> {
    seen.tells_way()
        .then(|| config.access.client_behind(peer, headers))
        .flatten()
}

/// Writes where a request came from, how, and for which host. `vouched` is where its
/// client is, where a trusted proxy hands it over: what that says stays.
pub(super) fn tell(
    headers: &mut HeaderMap,
    seen: PresentHeaders,
    peer: &Peer,
    vouched: Option<IpAddr>,
) {
    // What `Connection` named is gone, although it was seen.
    let is_kept = |headers: &HeaderMap, kind, name: &HeaderName| {
        vouched.is_some()
            && seen.has(kind)
            && (!seen.has(PresentHeaders::HOP_BY_HOP) || headers.contains_key(name))
    };
    if vouched.is_none() && seen.has(PresentHeaders::FORWARDED_REST) {
        remove_rest(headers);
    }
    let has_via = is_kept(headers, PresentHeaders::FORWARDED_FOR, &FORWARDED_FOR);
    match vouched {
        Some(client) if has_via && client != peer.address => {
            headers.insert(REAL_IP, text(client));
        }
        _ if is_kept(headers, PresentHeaders::REAL_IP, &REAL_IP) => {}
        _ => {
            headers.insert(REAL_IP, peer.forwarded_for.clone());
        }
    }
    let via = if has_via {
        via(headers, peer)
    } else {
        peer.forwarded_for.clone()
    };
    headers.insert(FORWARDED_FOR, via);
    if !is_kept(headers, PresentHeaders::FORWARDED_PROTO, &FORWARDED_PROTO) {
        let scheme = match peer.scheme {
            Scheme::Tls => "https",
            Scheme::Plain => "http",
        };
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
    }
    if !is_kept(headers, PresentHeaders::FORWARDED_HOST, &FORWARDED_HOST) {
        match headers.get(header::HOST).cloned() {
            Some(host) => headers.insert(FORWARDED_HOST, host),
            None if seen.has(PresentHeaders::FORWARDED_HOST) => headers.remove(FORWARDED_HOST),
            None => None,
        };
    }
}

/// Removes what the gateway does not write itself. Seldom is there any.
fn remove_rest(headers: &mut HeaderMap) {
    let is_rest = |name: &&HeaderName| {
        matches!(
            HeaderClass::of(name.as_str().as_bytes()),
            HeaderClass::Forwarding(Forwarding::Address | Forwarding::Rest)
        )
    };
    let names: Vec<HeaderName> = headers.keys().filter(is_rest).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// The addresses so far, and the peer's.
fn via(headers: &HeaderMap, peer: &Peer) -> HeaderValue {
    let mut via = Vec::new();
    for earlier in headers.get_all(FORWARDED_FOR) {
        via.extend_from_slice(earlier.as_bytes());
        via.extend_from_slice(b", ");
    }
    via.extend_from_slice(peer.forwarded_for.as_bytes());
    HeaderValue::from_maybe_shared(bytes::Bytes::from(via))
        .unwrap_or_else(|_| peer.forwarded_for.clone())
}

fn text(address: IpAddr) -> HeaderValue {
    // Digits, letters, points and colons: always a value.
    HeaderValue::try_from(address.to_string()).unwrap_or(HeaderValue::from_static("unknown"))
}

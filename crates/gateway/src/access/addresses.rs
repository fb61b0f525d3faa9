//! Where a client is, and whether it may come from there.

use http::HeaderMap;
use ipnet::IpNet;
use plan::AddressRule;
use std::net::{IpAddr, SocketAddr};

/// The most addresses of `X-Forwarded-For` that are looked at.
const HOPS_MAX: usize = 32;

/// Whether a peer is a proxy whose word on its clients counts.
pub(crate) fn is_trusted(peer: IpAddr, trusted: &[IpNet]) -> bool {
    let peer = peer.to_canonical();
    trusted.iter().any(|block| block.contains(&peer))
}

/// Where a client is: the peer, unless the peer is a proxy that is trusted;
/// then the last address of `X-Forwarded-For` that is not one itself. What
/// stands to the left of that the client may have written.
pub(crate) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    let is_trusted = |address: &IpAddr| trusted.iter().any(|block| block.contains(address));
    if trusted.is_empty() || !is_trusted(&peer) {
        return peer;
    }
    let mut client = peer;
    let hops = headers
        .get_all("x-forwarded-for")
        .iter()
        .rev()
        .flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
    for hop in hops.take(HOPS_MAX) {
        let Some(address) = address(hop) else {
            return client;
        };
        client = address;
        if !is_trusted(&client) {
            return client;
        }
    }
    client
}

/// `10.0.0.1`, `10.0.0.1:80`, `::1`, `[::1]:80`.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse()
        .or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()))
        .ok()
        .map(|address: IpAddr| address.to_canonical())
}

/// Whether one may come from there. A denied block wins.
pub(crate) fn is_admitted(rule: &AddressRule, client: IpAddr) -> bool {
    let within = |blocks: &[IpNet]| blocks.iter().any(|block| block.contains(&client));
    !within(&rule.deny) && (rule.allow.is_empty() || within(&rule.allow))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(all: &[&str]) -> Vec<IpNet> {
        all.iter().map(|one| one.parse().unwrap()).collect()
    }

    fn found(peer: &str, via: &[&'static str]) -> String {
        let mut headers = HeaderMap::new();
        for value in via {
            headers.append("x-forwarded-for", http::HeaderValue::from_static(value));
        }
        let trusted = blocks(&["10.0.0.0/8", "fd00::/8"]);
        client(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(found("9.9.9.9", &["1.1.1.1"]), "9.9.9.9");
        assert_eq!(found("10.0.0.1", &["1.1.1.1"]), "1.1.1.1");
        assert_eq!(found("::ffff:10.0.0.1", &["1.1.1.1:80"]), "1.1.1.1");
        assert_eq!(found("fd00::1", &["[2001:db8::1]:443"]), "2001:db8::1");
        // What the client wrote itself stands to the left.
        assert_eq!(
            found("10.0.0.1", &["6.6.6.6, 1.1.1.1, 10.0.0.2"]),
            "1.1.1.1"
        );
        assert_eq!(found("10.0.0.1", &["6.6.6.6", "1.1.1.1"]), "1.1.1.1");
        assert_eq!(found("10.0.0.1", &["1.1.1.1, nonsense"]), "10.0.0.1");
        assert_eq!(found("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(found("10.0.0.1", &["10.0.0.3"]), "10.0.0.3");
    }

    #[test]
    fn denied_wins_over_allowed() {
        let rule = AddressRule {
            allow: blocks(&["10.0.0.0/8"]),
            deny: blocks(&["10.1.0.0/16"]),
        };
        let admitted = |text: &str| is_admitted(&rule, text.parse().unwrap());
        assert!(admitted("10.0.0.1"));
        assert!(!admitted("10.1.0.1"));
        assert!(!admitted("11.0.0.1"));
        let open = AddressRule::default();
        assert!(is_admitted(&open, "11.0.0.1".parse().unwrap()));
    }
}

//! Where a request may lead whose address a caller has given. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Url;

use crate::settings::Setting;

const MAX_URL_LENGTH: usize = 2000;

/// Where requests may lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destinations {
    /// Public addresses over https only, so that no given address leads inside.
    Public,
    /// Anywhere. For tests and closed networks.
    Any,
}

impl Setting for Destinations {
    fn form() -> String {
        "public, or any for tests and closed networks".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "public" => Some(Self::Public),
            "any" => Some(Self::Any),
            _ => None,
        }
    }
}

/// A URL that a request can be sent to; otherwise what it must be. A name in it
/// may still lead inside: that shows when a request is sent.
pub fn parse(text: &str, destinations: Destinations) -> Result<Url, &'static str> {
    let schemes: &[&str] = match destinations {
        Destinations::Public => &["https"],
        Destinations::Any => &["https", "http"],
    };
    let url = Url::parse(text).map_err(|_| "must be a URL")?;
    if text.len() > MAX_URL_LENGTH {
        return Err("must be at most 2000 characters long");
    }
    if !schemes.contains(&url.scheme()) {
        return Err("must begin with https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user or password");
    }
    let address = match url.host() {
        Some(url::Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(url::Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(url::Host::Domain(_)) => None,
        None => return Err("must name a host"),
    };
    if address.is_some_and(|address| !may_connect(address, destinations)) {
        return Err("must lead to a public address");
    }
    Ok(url)
}

/// Whether an address that a name has led to may be connected to.
pub(super) fn may_connect(address: IpAddr, destinations: Destinations) -> bool {
    destinations == Destinations::Any || is_public(address)
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => embedded(address).map_or_else(|| is_global(address), is_public_v4),
    }
}

/// Global unicast, without the parts that are for documentation, tunnels and
/// the like.
fn is_global(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    first & 0xe000 == 0x2000
        && !(first == 0x2001 && (second < 0x0200 || second == 0x0db8))
        && first != 0x3fff
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(a == 0
        || a >= 224
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        // Shared by carriers, IETF's own, 6to4 relays, benchmarks.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b)))
}

/// An IPv4 address that is reached through this one.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let joined = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        // Compatible, mapped, translated; 6to4.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(joined(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_inside_is_public() {
        for inside in [
            "0.0.0.0",
            "10.1.2.3",
            "127.0.0.1",
            "100.64.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.1.1",
            "192.0.0.8",
            "198.18.0.1",
            "203.0.113.5",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "2001:db8::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:7f00:1::",
            "::7f00:1",
            "2001::1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
        for outside in [
            "1.1.1.1",
            "93.184.216.34",
            "100.128.0.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
        ] {
            assert!(is_public(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn urls_that_lead_inside_or_nowhere_are_refused() {
        for text in [
            "",
            "example.com",
            "ftp://example.com/",
            "http://example.com/",
            "https://",
            "https://user:pass@example.com/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://169.254.169.254/latest",
            "javascript:alert(1)",
            "file:///etc/passwd",
        ] {
            assert!(parse(text, Destinations::Public).is_err(), "{text}");
        }
        assert!(parse("https://example.com/hook?x=1", Destinations::Public).is_ok());
        assert!(parse("http://127.0.0.1:9/hook", Destinations::Any).is_ok());
    }
}

//! `Host`, and the authority of a target: `host:port` (RFC 3986, 3.2), as strictly as
//! whoever routes by it must read it.

use std::net::Ipv6Addr;

/// The largest port, of 16 bits.
const PORT_MAX: u32 = 65_535;

/// Whether this is a host, with a port or without. A user, a list and whatever could be
/// taken for more than one host is none; and without a host no address of HTTP has a
/// meaning (RFC 9110, 4.2.1).
pub(crate) fn is_host(text: &[u8]) -> bool {
    let Some((name, after)) = split(text) else {
        return false;
    };
    let is_name = match name.strip_prefix(b"[") {
        Some(address) => {
            std::str::from_utf8(address).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok())
        }
        None => is_name(name),
    };
    is_name && (after.is_empty() || after.strip_prefix(b":").is_some_and(is_port))
}

/// The name, of an address in brackets without the second one, and what comes after.
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    if text.starts_with(b"[") {
        let end = text.iter().position(|byte| *byte == b']')?;
        return Some((&text[..end], &text[end + 1..]));
    }
    let end = text.iter().position(|byte| *byte == b':');
    Some(text.split_at(end.unwrap_or(text.len())))
}

/// A name that is registered, or an IPv4 address. Without the comma, by which two hosts
/// are taken for one.
fn is_name(name: &[u8]) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=%".contains(&byte);
    let escaped = |at: usize| {
        let digits = name.get(at + 1..at + 3);
        digits.is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    };
    let fits = |(at, byte): (usize, &u8)| is_allowed(*byte) && (*byte != b'%' || escaped(at));
    !name.is_empty() && name.iter().enumerate().all(fits)
}

/// `port = *DIGIT`.
fn is_port(digits: &[u8]) -> bool {
    let number = |sum: u32, digit: &u8| {
        let value = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
        Some(sum * 10 + value).filter(|port| *port <= PORT_MAX)
    };
    digits.iter().try_fold(0, number).is_some()
}

/// Whether two authorities are the same host and port under a scheme, whose own port
/// may be written or left out (RFC 9110, 4.2.3).
pub(crate) fn are_same(one: &[u8], other: &[u8], scheme: &str) -> bool {
    let own = match scheme {
        "https" => &b":443"[..],
        _ => b":80",
    };
    without_port(one, own).eq_ignore_ascii_case(without_port(other, own))
}

fn without_port<'a>(text: &'a [u8], own: &[u8]) -> &'a [u8] {
    let text = text.strip_suffix(own).unwrap_or(text);
    text.strip_suffix(b":").unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_one_host() {
        for fine in [
            "a",
            "a.example",
            "a.example.",
            "A:80",
            "a:",
            "a_b",
            "10.0.0.1:65535",
            "[::1]",
            "[::1]:8080",
            "a%20b",
        ] {
            assert!(is_host(fine.as_bytes()), "{fine}");
        }
        for bad in [
            "",
            ":80",
            "a:b",
            "a:b:c",
            "a:80:80",
            "a:65536",
            "a:99999999999999",
            "a:-1",
            "a\"b",
            "a b",
            "a,b",
            "a/b",
            "a@b",
            "a<b",
            "a|b",
            "a%2",
            "a%zz",
            "\u{e4}",
            "::1",
            "[::1",
            "[::1]a",
            "[::1%25eth0]",
            "[a]",
            "[]",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn a_schemes_own_port_may_be_left_out() {
        let same =
            |one: &str, other: &str, scheme| are_same(one.as_bytes(), other.as_bytes(), scheme);
        assert!(same("a", "A:80", "http") && same("a:80", "a:", "http"));
        assert!(same("a:443", "a", "https") && same("[::1]:443", "[::1]", "https"));
        assert!(!same("a:443", "a", "http") && !same("a:80", "a", "https"));
        assert!(!same("a", "a:8080", "http") && !same("a", "b", "http"));
    }
}

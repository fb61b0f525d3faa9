//! The PROXY protocol, versions 1 and 2, as a pure parser: what a proxy in
//! front says about its client, before the first byte of the client's own
//! (haproxy's proxy-protocol.txt, 2020/03/05). Why it is not the crate `ppp`:
//! docs/decisions/0011-own-wire-formats.md.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header of version 1, with its line end.
const V1_BYTES_MAX: usize = 107;

/// What version 2 begins with.
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The fixed part of version 2.
const V2_FIXED_BYTES: usize = 16;

/// The most that may follow it: addresses and what else the proxy says, such
/// as the client's certificate's name.
const V2_REST_BYTES_MAX: usize = 2 << 10;

/// The longest header.
pub(crate) const HEADER_BYTES_MAX: usize = V2_FIXED_BYTES + V2_REST_BYTES_MAX;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The connection is the proxy's own (a health check), or it does not know.
    Own,
    /// It was made for this client.
    Client(SocketAddr),
}

/// How far a header is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// More must come.
    Partial,
    /// It is this long; the client's own bytes follow.
    Whole(usize, Source),
}

/// Bytes that are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection does not begin with a PROXY header: {0}")]
pub(crate) struct Malformed(&'static str);

/// Parses the beginning of a connection.
pub(crate) fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let begins_with = |start: &[u8]| {
        let known = bytes.len().min(start.len());
        bytes[..known] == start[..known]
    };
    if begins_with(V2_SIGNATURE) {
        v2(bytes)
    } else if begins_with(b"PROXY ") {
        v1(bytes)
    } else {
        Err(Malformed("it is of neither version"))
    }
}

fn v1(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let seen = &bytes[..bytes.len().min(V1_BYTES_MAX)];
    let Some(end) = seen.windows(2).position(|pair| pair == b"\r\n") else {
        return if seen.len() == V1_BYTES_MAX {
            Err(Malformed("its line does not end"))
        } else {
            Ok(Parsed::Partial)
        };
    };
    let line = std::str::from_utf8(&seen[..end]).map_err(|_| Malformed("it is not ASCII"))?;
    let mut words = line.split(' ').skip(1);
    let family = words.next();
    if family == Some("UNKNOWN") {
        return Ok(Parsed::Whole(end + 2, Source::Own));
    }
    let (Some(source), Some(target), Some(port), Some(target_port), None) = (
        words.next(),
        words.next(),
        words.next(),
        words.next(),
        words.next(),
    ) else {
        return Err(Malformed("it has not six words"));
    };
    let parsed = |text: &str| {
        text.parse::<IpAddr>()
            .map_err(|_| Malformed("an address is none"))
    };
    let (source, target) = (parsed(source)?, parsed(target)?);
    let fits = match family {
        Some("TCP4") => source.is_ipv4() && target.is_ipv4(),
        Some("TCP6") => source.is_ipv6() && target.is_ipv6(),
        _ => return Err(Malformed("its family is not known")),
    };
    if !fits {
        return Err(Malformed("an address is of another family"));
    }
    decimal_port(target_port)?;
    let client = SocketAddr::new(source, decimal_port(port)?);
    Ok(Parsed::Whole(end + 2, Source::Client(client)))
}

/// A port without sign and leading zeros.
fn decimal_port(text: &str) -> Result<u16, Malformed> {
    let wrong = Malformed("a port is none");
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return Err(wrong);
    }
    text.parse().map_err(|_| wrong)
}

fn v2(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let Some(fixed) = bytes.get(..V2_FIXED_BYTES) else {
        return Ok(Parsed::Partial);
    };
    let (version, command) = (fixed[12] >> 4, fixed[12] & 0xf);
    if version != 2 || command > 1 {
        return Err(Malformed("its version or command is not known"));
    }
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length > V2_REST_BYTES_MAX {
        return Err(Malformed("it is too long"));
    }
    let end = V2_FIXED_BYTES + length;
    let Some(rest) = bytes.get(V2_FIXED_BYTES..end) else {
        return Ok(Parsed::Partial);
    };
    let source = if command == 0 {
        Source::Own
    } else {
        v2_source(fixed[13], rest)?
    };
    Ok(Parsed::Whole(end, source))
}

fn v2_source(family: u8, rest: &[u8]) -> Result<Source, Malformed> {
    let short = Malformed("its addresses are cut off");
    let port = |at: usize| {
        let bytes = rest.get(at..at + 2).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u16::from_be_bytes).ok_or(short)
    };
    let (address, port) = match family {
        // TCP over IPv4: both addresses, both ports.
        0x11 if rest.len() >= 12 => {
            let octets: [u8; 4] = rest[..4].try_into().map_err(|_| short)?;
            (IpAddr::from(Ipv4Addr::from(octets)), port(8)?)
        }
        // TCP over IPv6.
        0x21 if rest.len() >= 36 => {
            let octets: [u8; 16] = rest[..16].try_into().map_err(|_| short)?;
            (IpAddr::from(Ipv6Addr::from(octets)), port(32)?)
        }
        0x11 | 0x21 => return Err(short),
        // Not said, or Unix sockets.
        0x00 | 0x31 => return Ok(Source::Own),
        _ => return Err(Malformed("its family is not known")),
    };
    Ok(Source::Client(SocketAddr::new(address, port)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header_v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut header = V2_SIGNATURE.to_vec();
        header.extend([0x20 | command, family]);
        header.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
        header.extend(rest);
        header
    }

    fn client(text: &str) -> Source {
        Source::Client(text.parse().unwrap())
    }

    #[test]
    fn version_1() {
        for (line, source) in [
            (
                "PROXY TCP4 1.2.3.4 5.6.7.8 90 443\r\n",
                client("1.2.3.4:90"),
            ),
            (
                "PROXY TCP6 ::1 2001:db8::1 65535 0\r\n",
                client("[::1]:65535"),
            ),
            ("PROXY UNKNOWN\r\n", Source::Own),
            ("PROXY UNKNOWN whatever\r\n", Source::Own),
            ("PROXY UNKNOWN a b c d e f g\r\n", Source::Own),
        ] {
            let whole = format!("{line}GET / HTTP/1.1\r\n");
            assert_eq!(
                parse(whole.as_bytes()),
                Ok(Parsed::Whole(line.len(), source))
            );
            for end in 0..line.len() {
                assert_eq!(
                    parse(&line.as_bytes()[..end]),
                    Ok(Parsed::Partial),
                    "{line:?} {end}"
                );
            }
        }
        let long = format!("PROXY UNKNOWN {}", "x".repeat(100));
        for bad in [
            "GET / HTTP/1.1\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 90\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 90 443 1\r\n",
            "PROXY TCP4 ::1 5.6.7.8 90 443\r\n",
            "PROXY TCP4 01.2.3.4 5.6.7.8 90 443\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 090 443\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 +90 443\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 90 +443\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 65536 443\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 90 443\n\r\n",
            "PROXY\rTCP4\r1.2.3.4\r5.6.7.8\r90\r443\r\n",
            "PROXY TCP4  1.2.3.4 5.6.7.8 90 443\r\n",
            "PROXY UDP4 1.2.3.4 5.6.7.8 90 443\r\n",
            "proxy UNKNOWN\r\n",
            &long,
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn version_2() {
        let four = [1, 2, 3, 4, 5, 6, 7, 8, 0, 90, 1, 187];
        let mut six = [0; 36];
        (six[15], six[33]) = (1, 80);
        let with_more = [&four[..], &[3, 0, 4, 0, 0, 0, 0]].concat();
        for (header, source) in [
            (header_v2(1, 0x11, &four), client("1.2.3.4:90")),
            (header_v2(1, 0x11, &with_more), client("1.2.3.4:90")),
            (header_v2(1, 0x21, &six), client("[::1]:80")),
            (header_v2(0, 0x11, &four), Source::Own),
            (header_v2(0, 0x11, &[]), Source::Own),
            (header_v2(0, 0x55, &[]), Source::Own),
            (header_v2(1, 0x00, &[]), Source::Own),
            (header_v2(1, 0x31, &[0; 216]), Source::Own),
            (header_v2(1, 0x31, &[0; 10]), Source::Own),
        ] {
            let whole = [&header[..], b"GET"].concat();
            assert_eq!(parse(&whole), Ok(Parsed::Whole(header.len(), source)));
            for end in 0..header.len() {
                assert_eq!(parse(&header[..end]), Ok(Parsed::Partial));
            }
        }
        let mut other_version = header_v2(1, 0x11, &four);
        other_version[12] = 0x31;
        for bad in [
            header_v2(1, 0x11, &four[..11]),
            header_v2(1, 0x21, &six[..35]),
            header_v2(1, 0x12, &four),
            header_v2(1, 0x32, &[0; 216]),
            header_v2(1, 0x10, &four),
            header_v2(1, 0x01, &[]),
            header_v2(2, 0x11, &four),
            header_v2(1, 0x11, &[0; V2_REST_BYTES_MAX + 1]),
            other_version,
        ] {
            assert!(parse(&bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_parsed_or_refused_within_the_bound(
            start in prop_oneof![Just(&b""[..]), Just(&b"PROXY "[..]), Just(&V2_SIGNATURE[..])],
            rest in proptest::collection::vec(any::<u8>(), 0..3000),
        ) {
            let bytes = [start, &rest].concat();
            match parse(&bytes) {
                Ok(Parsed::Partial) => prop_assert!(bytes.len() < HEADER_BYTES_MAX),
                Ok(Parsed::Whole(length, _)) => prop_assert!(length <= bytes.len()),
                Err(_) => {}
            }
        }

        #[test]
        fn what_a_proxy_writes_is_read(source: SocketAddr, target_port: u16) {
            prop_assume!(!matches!(source.ip(), IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some()));
            let (family, target) = match source {
                SocketAddr::V4(_) => ("TCP4", "9.9.9.9"),
                SocketAddr::V6(_) => ("TCP6", "fe80::1"),
            };
            let source = SocketAddr::new(source.ip(), source.port());
            let line = format!("PROXY {family} {} {target} {} {target_port}\r\n", source.ip(), source.port());
            prop_assert_eq!(parse(line.as_bytes()), Ok(Parsed::Whole(line.len(), Source::Client(source))));
        }
    }
}

//! What is refused, removed and added on the way through.
//!
//! What the bytes of a message may not say is refused before (`transport::http1`); here
//! are the rules for what they mean.

use super::{present_headers::PresentHeaders, way};
use crate::{
    base::{
        authority,
        headers::{CORRELATION_ID, SHADOW},
        hop_by_hop::remove_hop_by_hop,
        peer::{Peer, Scheme},
        refusal::Refusal,
    },
    body,
    routing::table::Head,
};
use http::{HeaderMap, HeaderValue, Method, Version, header, request};
use std::net::IpAddr;

/// Longer correlation ids than this are replaced: they end up in logs.
const CORRELATION_ID_BYTES: usize = 128;

const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// Refuses heads that could mean two things. `scheme`: how the client came.
pub(crate) fn check(parts: &request::Parts, scheme: Scheme) -> Result<(), Refusal> {
    if parts.method == Method::CONNECT {
        return Err(Refusal::BadHead("CONNECT is not supported"));
    }
    // Its answer would show the client what is added on the way.
    if parts.method == Method::TRACE {
        return Err(Refusal::BadHead("TRACE is not supported"));
    }
    // Methods are told apart by case, but not by every server: `post` would
    // find no route of `POST`, and be one behind it.
    if parts
        .method
        .as_str()
        .bytes()
        .any(|byte| byte.is_ascii_lowercase())
    {
        return Err(Refusal::BadHead("the method is not in capitals"));
    }
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::BadHead("there is more than one Host"));
    }
    if host.is_none() && parts.version != Version::HTTP_10 {
        return Err(Refusal::BadHead("there is no Host"));
    }
    if host.is_some_and(|host| !authority::is_host(host.as_bytes())) {
        return Err(Refusal::BadHead("the Host is no host"));
    }
    if let (Some(own), Some(said)) = (parts.uri.authority(), parts.uri.scheme_str()) {
        let same = |host: &HeaderValue| {
            authority::are_same(host.as_bytes(), own.as_str().as_bytes(), said)
        };
        if said == "https" && scheme == Scheme::Plain {
            return Err(Refusal::BadHead(
                "the target is https, and this listener speaks no TLS",
            ));
        }
        if !matches!(said, "http" | "https") {
            return Err(Refusal::BadHead("the scheme is not one of HTTP"));
        }
        if !host.is_some_and(same) {
            return Err(Refusal::BadHead("the target and the Host differ"));
        }
    }
    Ok(())
}

/// The correlation id that a client brought, where it is a decent one.
pub(crate) fn correlation(headers: &HeaderMap, seen: PresentHeaders) -> Option<&HeaderValue> {
    if !seen.has(PresentHeaders::CORRELATION_ID) {
        return None;
    }
    let decent = |id: &&HeaderValue| {
        (1..=CORRELATION_ID_BYTES).contains(&id.len())
            && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    headers.get(CORRELATION_ID).filter(decent)
}

/// Makes a client's head one for an upstream. `Host` stays, so that absolute
/// URLs and host checks go on working. `vouched` is where the client is, as far as the
/// peer is a proxy whose word on it counts: then what that says of the way stays, since
/// TLS ends there. What anybody else says of it goes.
pub(crate) fn outgoing(
    parts: &mut request::Parts,
    seen: PresentHeaders,
    peer: &Peer,
    vouched: Option<IpAddr>,
    correlation: &HeaderValue,
) {
    parts.version = Version::HTTP_11;
    let headers = &mut parts.headers;
    // This hop's own: we pass trailers on.
    let wants_trailers = seen.has(PresentHeaders::HOP_BY_HOP) && wants_trailers(headers);
    if seen.has(PresentHeaders::HOP_BY_HOP) {
        remove_hop_by_hop(headers);
    }
    if wants_trailers {
        headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
        headers.insert(header::TE, TRAILERS);
    }
    if seen.has(PresentHeaders::EXPECT) && headers.remove(header::EXPECT).is_some() {
        // It is answered to the client when the body is first read.
        parts.extensions.insert(body::Expecting);
    }
    if seen.has(PresentHeaders::SHADOW) {
        headers.remove(SHADOW);
    }
    way::tell(headers, seen, peer, vouched);
    headers.insert(CORRELATION_ID, correlation.clone());
}

/// Tells the client which correlation id its request had.
pub(crate) fn correlate(headers: &mut HeaderMap, correlation: HeaderValue) {
    headers.insert(CORRELATION_ID, correlation);
}

/// Whether the client can take trailers.
fn wants_trailers(headers: &HeaderMap) -> bool {
    headers.get_all(header::TE).iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    })
}

/// The head that routes look at.
pub(crate) fn head<'a>(
    parts: &'a request::Parts,
    host: Option<&'a str>,
    target: &'a crate::base::target::Target<'a>,
) -> Head<'a> {
    Head {
        method: parts.method.as_str(),
        host,
        target,
        headers: &parts.headers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(uri: &str, headers: &[(&'static str, &'static str)]) -> request::Parts {
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn heads_that_mean_two_things_are_refused() {
        let check = |parts: &request::Parts| super::check(parts, Scheme::Plain);
        for fine in [
            parts("/", &[("host", "a:80")]),
            parts("http://A/x", &[("host", "a")]),
            parts("http://a:80/x", &[("host", "a")]),
            parts("http://a/x", &[("host", "a:80")]),
        ] {
            assert_eq!(check(&fine), Ok(()), "{fine:?}");
        }
        let secure = parts("https://a/x", &[("host", "a:443")]);
        assert_eq!(super::check(&secure, Scheme::Tls), Ok(()));
        for method in ["post", "Get", "delete"] {
            let mut odd = parts("/", &[("host", "a")]);
            odd.method = method.parse().unwrap();
            assert!(check(&odd).is_err(), "{method}");
        }
        for bad in [
            parts("/", &[]),
            parts("/", &[("host", "a"), ("host", "a")]),
            parts("/", &[("host", "a/b")]),
            parts("/", &[("host", "a, b")]),
            parts("/", &[("host", "")]),
            parts("/", &[("host", "a:b:c")]),
            parts("/", &[("host", "a\"b")]),
            parts("http://a:443/x", &[("host", "a")]),
            parts("http://a:8080/x", &[("host", "a")]),
            parts("http://b/x", &[("host", "a")]),
            parts("https://a/x", &[("host", "a")]),
        ] {
            assert!(matches!(check(&bad), Err(Refusal::BadHead(_))), "{bad:?}");
        }
    }

    #[test]
    fn hop_by_hop_headers_go_and_forwarding_ones_come() {
        let mut parts = parts(
            "/",
            &[
                ("host", "a"),
                ("connection", "close, X-Secret, Host"),
                ("x-secret", "1"),
                ("te", "gzip, trailers"),
                ("upgrade", "h2c"),
                ("trailer", "x-sum"),
                ("x-forwarded-for", "10.0.0.1"),
                ("x-forwarded-proto", "https"),
                ("accept", "*/*"),
            ],
        );
        let peer = Peer::new(Some("::ffff:10.0.0.2".parse().unwrap()), Scheme::Plain);
        let seen = PresentHeaders::of(&parts.headers);
        let id = HeaderValue::from_static("id");
        outgoing(&mut parts, seen, &peer, Some(peer.address), &id);
        let header = |name| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        assert_eq!(header("host"), Some("a"));
        assert_eq!(header("accept"), Some("*/*"));
        assert_eq!(header("x-forwarded-for"), Some("10.0.0.1, 10.0.0.2"));
        assert_eq!(header("x-forwarded-proto"), Some("https"));
        assert_eq!(header("x-forwarded-host"), Some("a"));
        assert_eq!(header("x-correlation-id"), Some("id"));
        assert_eq!(header("trailer"), Some("x-sum"));
        assert_eq!(header("connection"), Some("te"));
        assert_eq!(header("te"), Some("trailers"));
        for gone in ["upgrade", "x-secret"] {
            assert_eq!(header(gone), None, "{gone}");
        }
    }

    #[test]
    fn a_forwarding_header_that_connection_names_is_made_anew() {
        let mut parts = parts(
            "/",
            &[
                ("host", "a"),
                (
                    "connection",
                    "X-Forwarded-Proto, x-forwarded-host, keep-alive",
                ),
                ("keep-alive", "timeout=5"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "b"),
            ],
        );
        let peer = Peer::new(Some("10.0.0.2".parse().unwrap()), Scheme::Plain);
        let seen = PresentHeaders::of(&parts.headers);
        let id = HeaderValue::from_static("id");
        outgoing(&mut parts, seen, &peer, Some(peer.address), &id);
        assert_eq!(parts.headers["x-forwarded-proto"], "http");
        assert_eq!(parts.headers["x-forwarded-host"], "a");
        assert_eq!(parts.headers["x-forwarded-for"], "10.0.0.2");
        assert_eq!(parts.headers["x-real-ip"], "10.0.0.2");
        assert_eq!(parts.headers.len(), 6, "{:?}", parts.headers);
    }

    #[test]
    fn indecent_correlation_ids_are_replaced() {
        let id = |value| {
            let headers = parts("/", &[("x-correlation-id", value)]).headers;
            correlation(&headers, PresentHeaders::of(&headers)).is_some()
        };
        assert!(id("abc-1"));
        assert!(!id(""));
        assert!(!id("a b"));
    }
}

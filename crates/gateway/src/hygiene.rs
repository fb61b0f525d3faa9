//! What is refused, removed and added on the way through.
//!
//! hyper refuses heads that are too long or malformed, differing
//! `Content-Length`s and unknown transfer codings. A request with both
//! `Content-Length` and `Transfer-Encoding` it reads as chunked, drops the
//! length and closes the connection afterwards (RFC 9112, 6.1 allows that);
//! since every body is framed anew towards the upstream, both sides then agree.

use crate::{
    answer::Refusal,
    body,
    peer::{Peer, Scheme},
    table::Head,
    upgrade,
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header, request,
    response::Parts,
};
use protocol::Side;
use std::borrow::Cow;

const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const BANYAN_SIDE: HeaderName = HeaderName::from_static("x-banyan-side");

/// Longer correlation ids than this are replaced: they end up in logs.
const CORRELATION_ID_BYTES: usize = 128;

/// Meant for one connection only (RFC 9110, 7.6.1), besides those that
/// `Connection` names.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

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

const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// Refuses heads that could mean two things.
pub(crate) fn check(parts: &request::Parts) -> Result<(), Refusal> {
    if parts.method == Method::CONNECT {
        return Err(Refusal::BadHead("CONNECT is not supported"));
    }
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::BadHead("there is more than one Host"));
    }
    if host.is_none() && parts.version != Version::HTTP_10 {
        return Err(Refusal::BadHead("there is no Host"));
    }
    let plain = |byte: &u8| byte.is_ascii_graphic() && !b"/\\@?#,".contains(byte);
    if host.is_some_and(|host| !host.as_bytes().iter().all(plain)) {
        return Err(Refusal::BadHead("the Host is no host"));
    }
    if let Some(authority) = parts.uri.authority() {
        let same = |host: &HeaderValue| {
            host.as_bytes()
                .eq_ignore_ascii_case(authority.as_str().as_bytes())
        };
        if parts.uri.scheme_str() != Some("http") || !host.is_some_and(same) {
            return Err(Refusal::BadHead("the target and the Host differ"));
        }
    }
    Ok(())
}

/// The host as [`Head`] wants it: lower case, without its port.
pub(crate) fn host(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let end = match host.rfind(']') {
        Some(bracket) => bracket + 1,
        None => host.find(':').unwrap_or(host.len()),
    };
    let host = &host[..end];
    Some(if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    })
}

/// The correlation id that a client brought, where it is a decent one.
pub(crate) fn correlation(headers: &HeaderMap) -> Option<&HeaderValue> {
    let decent = |id: &&HeaderValue| {
        (1..=CORRELATION_ID_BYTES).contains(&id.len())
            && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    headers.get(CORRELATION_ID).filter(decent)
}

/// Makes a client's head one for an upstream. `Host` stays, so that absolute
/// URLs and host checks go on working. `X-Forwarded-Proto` and `-Host` stay
/// where somebody in front has set them: TLS ends there.
pub(crate) fn outgoing(parts: &mut request::Parts, peer: &Peer, correlation: &HeaderValue) {
    parts.version = Version::HTTP_11;
    let headers = &mut parts.headers;
    let wants_trailers = wants_trailers(headers);
    remove_hop_by_hop(headers);
    if wants_trailers {
        // This hop's own: we pass trailers on.
        headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
        headers.insert(header::TE, TRAILERS);
    }
    // hyper answers it to the client when the body is first read.
    if headers.remove(header::EXPECT).is_some() {
        parts.extensions.insert(body::Expecting);
    }
    let via = forwarded_for(headers, peer);
    headers.insert(FORWARDED_FOR, via);
    if peer.scheme == Scheme::Tls {
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
    } else if !headers.contains_key(FORWARDED_PROTO) {
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    }
    if !headers.contains_key(FORWARDED_HOST)
        && let Some(host) = headers.get(header::HOST).cloned()
    {
        headers.insert(FORWARDED_HOST, host);
    }
    headers.insert(CORRELATION_ID, correlation.clone());
}

fn forwarded_for(headers: &HeaderMap, peer: &Peer) -> HeaderValue {
    if !headers.contains_key(FORWARDED_FOR) {
        return peer.forwarded_for.clone();
    }
    let mut via = Vec::new();
    for earlier in headers.get_all(FORWARDED_FOR) {
        via.extend_from_slice(earlier.as_bytes());
        via.extend_from_slice(b", ");
    }
    via.extend_from_slice(peer.forwarded_for.as_bytes());
    HeaderValue::from_maybe_shared(bytes::Bytes::from(via))
        .unwrap_or_else(|_| peer.forwarded_for.clone())
}

/// Makes an upstream's head one for a client.
pub(crate) fn incoming(parts: &mut Parts, side: Side) {
    parts.version = Version::HTTP_11;
    // Here it was asked for: others do not get this far.
    let upgrade = (parts.status == StatusCode::SWITCHING_PROTOCOLS)
        .then(|| parts.headers.remove(header::UPGRADE))
        .flatten();
    remove_hop_by_hop(&mut parts.headers);
    if let Some(protocol) = upgrade {
        upgrade::write_headers(&mut parts.headers, protocol);
    }
    parts
        .headers
        .insert(BANYAN_SIDE, HeaderValue::from_static(side.as_str()));
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

/// Removes from trailers what may stand in heads only (RFC 9110, 6.5.1): what
/// frames, routes or identifies was decided when they come.
pub(crate) fn trailers(trailers: &mut HeaderMap) {
    for name in HOP_BY_HOP.iter().chain(&NOT_IN_TRAILERS) {
        trailers.remove(name);
    }
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    // What frames and addresses the message is not the sender's to remove.
    let kept =
        |name: &HeaderName| [header::HOST, header::CONTENT_LENGTH, FORWARDED_FOR].contains(name);
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| !HOP_BY_HOP.contains(name) && name != "close" && !kept(name))
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// The head that routes look at.
pub(crate) fn head<'a>(
    parts: &'a request::Parts,
    host: Option<&'a str>,
    target: &'a crate::target::Target<'a>,
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
        assert_eq!(check(&parts("/", &[("host", "a:80")])), Ok(()));
        assert_eq!(check(&parts("http://A/x", &[("host", "a")])), Ok(()));
        for bad in [
            parts("/", &[]),
            parts("/", &[("host", "a"), ("host", "a")]),
            parts("/", &[("host", "a/b")]),
            parts("/", &[("host", "a, b")]),
            parts("http://b/x", &[("host", "a")]),
            parts("https://a/x", &[("host", "a")]),
        ] {
            assert!(matches!(check(&bad), Err(Refusal::BadHead(_))), "{bad:?}");
        }
    }

    #[test]
    fn hosts_lose_port_and_case() {
        let host = |value| host(&parts("/", &[("host", value)]).headers).map(Cow::into_owned);
        assert_eq!(host("Example.ORG:80").as_deref(), Some("example.org"));
        assert_eq!(host("[::1]:80").as_deref(), Some("[::1]"));
        assert_eq!(host("a").as_deref(), Some("a"));
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
        outgoing(&mut parts, &peer, &HeaderValue::from_static("id"));
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
    fn indecent_correlation_ids_are_replaced() {
        let id = |value| correlation(&parts("/", &[("x-correlation-id", value)]).headers).is_some();
        assert!(id("abc-1"));
        assert!(!id(""));
        assert!(!id("a b"));
    }
}

//! Names of headers, and what is read of a head.

use http::{HeaderMap, HeaderName, header};
use std::{borrow::Cow, net::IpAddr};

pub(crate) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(crate) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(crate) const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
pub(crate) const BANYAN_SIDE: HeaderName = HeaderName::from_static("x-banyan-side");

/// The host as routes are matched by: lower case, without its port and without the
/// dot of the root, which names the same host.
pub(crate) fn host(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let end = match host.rfind(']') {
        Some(bracket) => bracket + 1,
        None => host.find(':').unwrap_or(host.len()),
    };
    let host = &host[..end];
    let host = host.strip_suffix('.').unwrap_or(host);
    Some(if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    })
}

/// The client's address, as upstreams are told it.
pub(crate) fn client_address(headers: &HeaderMap) -> Option<IpAddr> {
    headers.get(REAL_IP)?.to_str().ok()?.parse().ok()
}

/// Tells upstreams that the answer is only compared. Removed from what clients send.
pub(crate) const SHADOW: HeaderName = HeaderName::from_static("x-banyan-shadow");

/// RFC 6265, 4.2.1: `name=value; name=value`, over all `Cookie` headers.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &[u8]) -> Option<&'a [u8]> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
        .filter_map(|pair| {
            let pair = pair.trim_ascii();
            let equals = pair.iter().position(|byte| *byte == b'=')?;
            Some((&pair[..equals], &pair[equals + 1..]))
        })
        .find_map(|(found, value)| (found == name).then_some(value))
}

/// RFC 6265, 4.1.1: the value that an answer gives a cookie; of several the last, as
/// browsers keep it. An empty one takes the cookie away.
pub(crate) fn set_cookie<'a>(headers: &'a HeaderMap, name: &[u8]) -> Option<&'a [u8]> {
    headers
        .get_all(header::SET_COOKIE)
        .iter()
        .rev()
        .find_map(|value| {
            let pair = value.as_bytes().split(|byte| *byte == b';').next()?;
            let equals = pair.iter().position(|byte| *byte == b'=')?;
            let (found, value) = (&pair[..equals], &pair[equals + 1..]);
            (found.trim_ascii() == name).then(|| value.trim_ascii())
        })
        .filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn hosts_lose_port_and_case() {
        let host = |value| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(value));
            host(&headers).map(Cow::into_owned)
        };
        assert_eq!(host("Example.ORG:80").as_deref(), Some("example.org"));
        assert_eq!(host("[::1]:80").as_deref(), Some("[::1]"));
        assert_eq!(host("a").as_deref(), Some("a"));
        assert_eq!(host("Example.org.:80").as_deref(), Some("example.org"));
    }

    #[test]
    fn an_answer_gives_a_cookie_its_value() {
        let mut headers = HeaderMap::new();
        assert_eq!(set_cookie(&headers, b"sid"), None);
        for value in [
            "a=sid=0",
            "sid=1; Path=/",
            " sid = 2=b ; HttpOnly",
            "sidx=3",
            "sid",
        ] {
            headers.append(header::SET_COOKIE, HeaderValue::from_static(value));
        }
        assert_eq!(set_cookie(&headers, b"sid"), Some(&b"2=b"[..]));
        let gone = HeaderValue::from_static("sid=; Max-Age=0");
        headers.append(header::SET_COOKIE, gone);
        assert_eq!(set_cookie(&headers, b"sid"), None);
    }
}

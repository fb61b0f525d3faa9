//! What every answer of the console carries, and which requests get none: those that
//! another site has a browser send.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::net::IpAddr;
use tokio_util::sync::CancellationToken;

/// Nothing but what is served from here, nothing within a page, no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// Refuses what is not for us, and adds the headers to every answer.
pub(crate) async fn guard(
    State(stop): State<CancellationToken>,
    request: Request,
    next: Next,
) -> Response {
    let refusal = if stop.is_cancelled() {
        let text = "Another `banyan serve` answers here by now. Load the page again.\n";
        Some((StatusCode::SERVICE_UNAVAILABLE, text))
    } else {
        refusal(&request)
    };
    let mut response = match refusal {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, value);
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    if stop.is_cancelled() {
        // The next request on this connection would come here again.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn refusal(request: &Request) -> Option<(StatusCode, &'static str)> {
    let headers = request.headers();
    let host = request.uri().authority().map(Authority::as_str);
    let host = host.or_else(|| text(headers, header::HOST));
    let Some(host) = host.filter(|host| is_ours(host)) else {
        let text = "The console answers to `localhost` and to addresses, not to other names: a \
                    foreign page could have a browser read it by one. Forward its port, and open \
                    http://localhost:PORT/console.\n";
        return Some((StatusCode::MISDIRECTED_REQUEST, text));
    };
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    if !is_read && is_from_elsewhere(headers, host) {
        let text = "This was sent by a page of another site, and nothing was done.\n";
        return Some((StatusCode::FORBIDDEN, text));
    }
    None
}

/// Whether a page that somebody else's name server points here cannot have this host: an
/// address is no name, and `localhost` is nobody's.
fn is_ours(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(name, _)| name),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

/// Whether a browser says that another site had it send this. Forms carry a secret of
/// their session besides.
fn is_from_elsewhere(headers: &HeaderMap, host: &str) -> bool {
    let site = HeaderName::from_static("sec-fetch-site");
    match text(headers, site) {
        Some(site) => site != "same-origin",
        // `null`, because of our own referrer policy, says nothing.
        None => text(headers, header::ORIGIN)
            .filter(|origin| *origin != "null")
            .is_some_and(|origin| origin.split_once("://").map(|(_, host)| host) != Some(host)),
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_nobody_else_can_have_are_ours() {
        for ours in [
            "localhost",
            "LOCALHOST:9901",
            "127.0.0.1:9901",
            "[::1]:9901",
            "10.1.2.3",
        ] {
            assert!(is_ours(ours), "{ours}");
        }
        for foreign in [
            "rebound.example",
            "localhost.example:9901",
            "127.0.0.1.nip.io",
            "",
            "[x]",
        ] {
            assert!(!is_ours(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_form_of_another_site_is_known() {
        let of = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )])
        };
        for (headers, is_foreign) in [
            (HeaderMap::new(), false),
            (of("sec-fetch-site", "same-origin"), false),
            (of("sec-fetch-site", "cross-site"), true),
            (of("sec-fetch-site", "same-site"), true),
            (of("origin", "http://localhost:1"), false),
            (of("origin", "http://localhost:2"), true),
            (of("origin", "null"), false),
        ] {
            assert_eq!(
                is_from_elsewhere(&headers, "localhost:1"),
                is_foreign,
                "{headers:?}"
            );
        }
    }
}

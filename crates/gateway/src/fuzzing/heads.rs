//! What stands in a request's head: target, fields, the client's key.

use crate::base::headers;
use crate::{
    base::{
        peer::{Peer, Scheme},
        target::Target,
    },
    observe::trace_context::TraceContext,
    request::{caller::Caller, present_headers::PresentHeaders, sanitize},
    selection::cohort_key::KeySource,
};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use plan::{CohortKey, PathPattern};

/// A path is read once and for all, and no reading of it has dot segments.
pub fn target(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(target) = Target::read(text) else {
        return;
    };
    let again = Target::read(&target.path);
    assert_eq!(
        again.as_ref(),
        Ok(&target),
        "another reading at the second time"
    );
    let lenient = target.lenient.as_deref().unwrap_or(&target.path);
    for path in [&*target.path, lenient] {
        assert!(path.starts_with('/'));
        assert!(!path.split('/').any(|part| matches!(part, "." | "..")));
        assert!(!path.contains(['\0', '\r', '\n']));
    }
}

/// Header fields of lines, where they are some.
fn fields(bytes: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let colon = line.iter().position(|byte| *byte == b':');
        let Some((name, value)) = colon.map(|at| (&line[..at], &line[at + 1..])) else {
            continue;
        };
        let name = HeaderName::from_bytes(name);
        let value = HeaderValue::from_bytes(value.trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

/// The key of a client is a part of what it sent, and never empty. The first
/// line is the target, the others are headers.
pub fn key(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (target, lines) = bytes.split_at(end.unwrap_or(bytes.len()));
    let headers = fields(lines);
    let Ok(uri) = Uri::try_from(target) else {
        return;
    };
    let peer = Peer::new(Some(std::net::Ipv4Addr::LOCALHOST.into()), Scheme::Plain);
    let admission = crate::access::Admission::default();
    let caller = Caller {
        peer: &peer,
        admission: &admission,
        tokens: None,
        connection: None,
        observed: None,
    };
    let client = caller.client(&headers, &uri);
    let pattern = PathPattern::parse("/api/{id}/*").ok();
    for key in [
        CohortKey::Header("x-user-id".into()),
        CohortKey::Cookie("sid".into()),
        CohortKey::Path("id".into()),
        CohortKey::Query("user".into()),
    ] {
        if let Some(key) = KeySource::new(&key).find(client.key_input(), pattern.as_ref()) {
            assert!(!key.is_empty());
            assert!(bytes.windows(key.len()).any(|part| part == key));
        }
    }
}

/// A head that may pass has one host, and what goes out says who came last.
pub fn head(bytes: &[u8]) {
    let mut parts = http::Request::new(()).into_parts().0;
    parts.headers = fields(bytes);
    let seen = PresentHeaders::of(&parts.headers);
    if sanitize::check(&parts, Scheme::Plain).is_err() {
        return;
    }
    let host = headers::host(&parts.headers);
    assert!(host.is_none_or(|host| !host.bytes().any(|byte| byte.is_ascii_uppercase())));
    let hosts = parts.headers.get(header::HOST).cloned();
    let id = sanitize::correlation(&parts.headers, seen).cloned();
    let peer = Peer::new(Some(std::net::Ipv4Addr::LOCALHOST.into()), Scheme::Plain);
    sanitize::outgoing(
        &mut parts,
        seen,
        &peer,
        None,
        &id.unwrap_or(HeaderValue::from_static("id")),
    );
    let headers = &parts.headers;
    assert_eq!(headers.get(header::HOST), hosts.as_ref());
    let via: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
    assert!(via.len() == 1 && via[0] == "127.0.0.1");
    assert_eq!(headers["x-real-ip"], "127.0.0.1");
    assert_eq!(headers["x-forwarded-proto"], "http");
    assert_eq!(headers.get("x-forwarded-host"), hosts.as_ref());
    for gone in ["forwarded", "x-forwarded-prefix", "x-forwarded-port"] {
        assert!(!headers.contains_key(gone));
    }
    for gone in [header::TRANSFER_ENCODING, header::UPGRADE] {
        assert!(!headers.contains_key(gone));
    }
    // What is said anew for the next hop.
    let te: Vec<_> = headers.get_all(header::TE).iter().collect();
    let connection: Vec<_> = headers.get_all(header::CONNECTION).iter().collect();
    let wanted = [(vec![], vec![]), (vec!["trailers"], vec!["te"])];
    assert!(wanted.contains(&(text(&te), text(&connection))));
}

fn text<'a>(values: &[&'a HeaderValue]) -> Vec<&'a str> {
    let text = |value: &&'a HeaderValue| value.to_str().unwrap_or("none");
    values.iter().map(text).collect()
}

/// A trace that is read is told on as it was.
pub fn trace(bytes: &[u8]) {
    let headers = fields(bytes);
    if let Some(said) = TraceContext::read(&headers) {
        let mut told = HeaderMap::new();
        told.insert("traceparent", said.header());
        assert_eq!(TraceContext::read(&told), Some(said));
    }
}

//! Which bodies are read to their end before they are sent.
//!
//! WSGI has no way to say that a body's length is not known: gunicorn, uWSGI and
//! mod_wsgi show their application an empty one. So a body that comes in chunks, or
//! over HTTP/2 without a length, is sent to an upstream of HTTP/1 with one, and for
//! that it must be here: in memory, then in a file. One that has a length passes as
//! it comes.

use crate::{base::index::UpstreamIndex, state::worker::Worker};
use http::{HeaderMap, header};
use plan::Protocol;

/// Whether a body without a length is read first. `wants`: its route says so.
/// `upstreams` are those that may get it.
pub(crate) fn is_due(
    worker: &Worker,
    wants: bool,
    upstreams: &[UpstreamIndex],
    headers: &HeaderMap,
) -> bool {
    let is_http1 = |upstream: &UpstreamIndex| {
        worker.config.upstreams.get(*upstream).protocol == Protocol::Http1
    };
    wants && upstreams.iter().any(is_http1) && !is_grpc(headers)
}

/// Whether a request is gRPC's, which may be a conversation. What browsers speak
/// (`application/grpc-web`) is none.
fn is_grpc(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    types.any(|value| {
        let text = value.as_bytes().trim_ascii();
        let (name, rest) = text.split_at(text.len().min(GRPC.len()));
        name.eq_ignore_ascii_case(GRPC) && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
    })
}

const GRPC: &[u8] = b"application/grpc";

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn grpc_is_told_by_its_type() {
        for (given, wanted) in [
            ("application/grpc", true),
            ("Application/gRPC+proto", true),
            ("application/grpc; x=y", true),
            ("application/grpc-web+proto", false),
            ("application/json", false),
            ("", false),
        ] {
            let headers =
                HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(given))]);
            assert_eq!(is_grpc(&headers), wanted, "{given}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }
}

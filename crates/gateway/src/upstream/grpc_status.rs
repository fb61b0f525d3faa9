//! What a gRPC service says of how a call ended, in the head or in the trailers.

use http::HeaderMap;

/// In the head where there is no body, else in the trailers.
const GRPC_STATUS: &str = "grpc-status";

/// Those that are 5xx by gRPC's own table of HTTP statuses: unknown, deadline exceeded,
/// unimplemented, internal, unavailable, data loss. The others are the caller's.
const FAILURES: [&[u8]; 6] = [b"2", b"4", b"12", b"13", b"14", b"15"];

/// Whether the service has failed a call.
pub(crate) fn is_failure(headers: &HeaderMap) -> bool {
    let status = headers.get(GRPC_STATUS).map(http::HeaderValue::as_bytes);
    status.is_some_and(|status| FAILURES.contains(&status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_services_failure_is_told_from_what_is_the_callers() {
        for (status, fails) in [
            ("0", false),
            ("2", true),
            ("3", false),
            ("5", false),
            ("8", false),
            ("13", true),
            ("14", true),
            ("16", false),
            ("", false),
        ] {
            let headers =
                HeaderMap::from_iter([(GRPC_STATUS.parse().unwrap(), status.parse().unwrap())]);
            assert_eq!(is_failure(&headers), fails, "{status}");
        }
        assert!(!is_failure(&HeaderMap::new()));
    }
}

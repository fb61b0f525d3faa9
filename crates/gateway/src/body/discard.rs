//! Reads and drops the rest of a refused request's body.

use super::incoming::Incoming;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt;
use std::time::Duration;

/// How much of the body is read before its request is refused, and for how
/// long: a connection that is closed on data still coming is reset,
/// and the client may never see why.
const DISCARD_BYTES_MAX: usize = 8 << 20;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) async fn discard(mut body: Incoming) {
    if body.is_end_stream() || body.size_hint().lower() > DISCARD_BYTES_MAX as u64 {
        return;
    }
    let all = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, Bytes::len);
            if bytes > DISCARD_BYTES_MAX {
                return;
            }
        }
    };
    // Too slow, then: the client takes its chances.
    let _ = tokio::time::timeout(DISCARD_TIMEOUT, all).await;
}

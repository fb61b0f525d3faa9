//! Trailers on their way through, in either direction.

use crate::base::hop_by_hop;
use bytes::Bytes;
use http_body::Frame;
use std::task::Poll;

/// Removes from trailers the fields that only a head may have.
pub(crate) fn checked<E>(
    frame: Poll<Option<Result<Frame<Bytes>, E>>>,
) -> Poll<Option<Result<Frame<Bytes>, E>>> {
    match frame {
        Poll::Ready(Some(Ok(mut frame))) => {
            if let Some(trailers) = frame.trailers_mut() {
                hop_by_hop::trailers(trailers);
            }
            Poll::Ready(Some(Ok(frame)))
        }
        other => other,
    }
}

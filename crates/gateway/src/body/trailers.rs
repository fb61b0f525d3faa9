//! Trailers on their way through, in either direction.

use crate::base::{header_class::folds_alike, hop_by_hop};
use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::Frame;
use std::{sync::Arc, task::Poll};

/// Which trailers of a request reach an upstream.
///
/// A server of HTTP/1 that does not know trailers takes them for the next request
/// (eventlet, Puma, aiohttp in versions that are about). Nobody can tell from here,
/// so they go where the plan says that it is safe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum RequestTrailers {
    #[default]
    Dropped,
    /// All but those that may not be any, and these: names by which the plan takes
    /// credentials, or tells who asks.
    PassedBut(Arc<[HeaderName]>),
}

impl RequestTrailers {
    /// Those that pass; `None` where none do.
    pub(super) fn passed(&self, mut trailers: HeaderMap) -> Option<HeaderMap> {
        let Self::PassedBut(names) = self else {
            return None;
        };
        hop_by_hop::keep_trailers(&mut trailers, |name| {
            let is = |other: &HeaderName| folds_alike(name, other.as_str().as_bytes());
            !names.iter().any(is)
        });
        Some(trailers).filter(|trailers| !trailers.is_empty())
    }
}

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

//! Bodies on their way through.

mod arrival;
mod request;
mod response;

pub(crate) use arrival::{Buffers, Collected, Inbound, Reserved, collect, refuse};
pub(crate) use request::{BodyFault, Conversing, Expecting, Progress, RequestBody, Whole};
pub(crate) use response::{BodyError, ResponseBody};

use crate::hygiene;
use bytes::Bytes;
use http_body::Frame;
use std::task::Poll;

/// Takes out of trailers what must not be there.
fn checked<E>(
    frame: Poll<Option<Result<Frame<Bytes>, E>>>,
) -> Poll<Option<Result<Frame<Bytes>, E>>> {
    match frame {
        Poll::Ready(Some(Ok(mut frame))) => {
            if let Some(trailers) = frame.trailers_mut() {
                hygiene::trailers(trailers);
            }
            Poll::Ready(Some(Ok(frame)))
        }
        other => other,
    }
}

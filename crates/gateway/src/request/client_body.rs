//! The body of an answer on its way to a client.

use super::record::RequestRecord;
use crate::{
    state::under_way::TalliedRequest,
    upstream::response_body::{BodyError, ResponseBody},
};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// The body of an answer on its way to a client. Its request is under way until it has
/// ended, and is told of then, too.
pub(crate) struct ClientBody {
    body: ResponseBody,
    _under_way: Option<TalliedRequest>,
    record: Option<Box<RequestRecord>>,
}

impl ClientBody {
    /// Of a request that is under way, with its record where there is something to come.
    pub(crate) fn new(
        body: ResponseBody,
        under_way: TalliedRequest,
        record: Option<Box<RequestRecord>>,
    ) -> Self {
        Self {
            body,
            _under_way: Some(under_way),
            record,
        }
    }

    /// Of what was not read as a request, or is under way by something else.
    pub(crate) fn alone(body: ResponseBody) -> Self {
        Self {
            body,
            _under_way: None,
            record: None,
        }
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let (Some(record), Poll::Ready(frame)) = (&mut self.record, &frame) {
            match frame {
                None => record.whole(),
                Some(Err(error)) => record.broke_off(error),
                Some(Ok(frame)) => record.passed(frame.data_ref().map_or(0, Bytes::len)),
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for ClientBody {
    fn drop(&mut self) {
        // Who has its last frame may drop it without asking for the end.
        if let Some(record) = &mut self.record
            && self.body.is_end_stream()
        {
            record.whole();
        }
    }
}

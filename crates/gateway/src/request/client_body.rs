//! The body of an answer on its way to a client, which keeps its request under way.

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

/// The body of an answer on its way to a client.
pub(crate) struct ClientBody {
    body: ResponseBody,
    /// None of requests that were not read, and of upgraded connections.
    _under_way: Option<TalliedRequest>,
}

impl ClientBody {
    pub(crate) fn new(body: ResponseBody, under_way: Option<TalliedRequest>) -> Self {
        Self {
            body,
            _under_way: under_way,
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
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

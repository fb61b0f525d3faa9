//! A request's body as it comes from its client, whichever version of HTTP that speaks.

use super::fault::BodyFault;
use crate::transport::http1::connection::{BodyEnd, ClientWire};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

/// A request's body as it comes from its client.
pub(crate) enum Incoming {
    /// There is none.
    None,
    /// Over a connection of HTTP/1, which has it.
    Http1(OverHttp1),
    Http2(hyper::body::Incoming),
}

/// The body of one request of a connection.
pub(crate) struct OverHttp1 {
    connection: Rc<RefCell<ClientWire>>,
    request: u64,
    /// Whether all of it was taken: the connection may be in another request by now.
    has_ended: bool,
}

impl Incoming {
    /// That of the request which such a connection is in.
    pub(crate) fn http1(connection: &Rc<RefCell<ClientWire>>) -> Self {
        let (has_ended, request) = {
            let wire = connection.borrow();
            let (coming, request) = wire.coming();
            (coming.has_ended(), request)
        };
        if has_ended {
            return Self::None;
        }
        Self::Http1(OverHttp1 {
            connection: Rc::clone(connection),
            request,
            has_ended,
        })
    }
}

impl OverHttp1 {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let mut connection = self.connection.borrow_mut();
        let part = connection.poll_body(self.request, cx);
        let (coming, request) = connection.coming();
        self.has_ended = request == self.request && coming.has_ended();
        part.map_err(|end| match end {
            BodyEnd::Lost => BodyFault::Lost,
            BodyEnd::Malformed => BodyFault::Malformed,
        })
    }

    fn size_hint(&self) -> SizeHint {
        let connection = self.connection.borrow();
        match connection.coming() {
            _ if self.has_ended => SizeHint::with_exact(0),
            (coming, request) if request == self.request => coming.size_hint(),
            _ => SizeHint::default(),
        }
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        match self.get_mut() {
            Self::None => Poll::Ready(None),
            Self::Http1(body) => body.poll_frame(cx),
            Self::Http2(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|error| BodyFault::of(&error)),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::None => true,
            Self::Http1(body) => body.has_ended,
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::None => SizeHint::with_exact(0),
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}

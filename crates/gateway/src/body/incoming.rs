//! A request's body as it comes from its client, whichever version of HTTP that speaks.

use super::fault::BodyFault;
use crate::transport::http1::{
    connection::{BodyEnd, ClientWire},
    framing::Coming,
};
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
    Http1(Rc<RefCell<ClientWire>>),
    Http2(hyper::body::Incoming),
}

impl Incoming {
    /// That of the request which such a connection is in.
    pub(crate) fn http1(connection: &Rc<RefCell<ClientWire>>) -> Self {
        if connection.borrow().coming().has_ended() {
            Self::None
        } else {
            Self::Http1(Rc::clone(connection))
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
            Self::Http1(connection) => {
                let mut connection = connection.borrow_mut();
                connection.poll_body(cx).map_err(|end| match end {
                    BodyEnd::Lost => BodyFault::Lost,
                    BodyEnd::Malformed => BodyFault::Malformed,
                })
            }
            Self::Http2(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|error| BodyFault::of(&error)),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::None => true,
            Self::Http1(connection) => connection.borrow().coming().has_ended(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::None => Coming::Ended.size_hint(),
            Self::Http1(connection) => connection.borrow().coming().size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}

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
    /// Over a connection of HTTP/1, which has it.
    Http1(OverHttp1),
    Http2(hyper::body::Incoming),
}

/// The body of one request of a connection.
pub(crate) struct OverHttp1 {
    /// `None` once all of it was taken: whoever has the connection still reads.
    connection: Option<Rc<RefCell<ClientWire>>>,
    request: u64,
}

impl Incoming {
    /// That of the request which such a connection is in.
    pub(crate) fn http1(connection: &Rc<RefCell<ClientWire>>) -> Self {
        let wire = connection.borrow();
        let (coming, request) = wire.coming();
        Self::Http1(OverHttp1 {
            connection: (!coming.has_ended()).then(|| Rc::clone(connection)),
            request,
        })
    }
}

impl OverHttp1 {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let Some(connection) = &self.connection else {
            return Poll::Ready(None);
        };
        let mut wire = connection.borrow_mut();
        let part = wire.poll_body(self.request, cx);
        let (coming, request) = wire.coming();
        let has_ended = request == self.request && coming.has_ended();
        drop(wire);
        if has_ended {
            self.connection = None;
        }
        part.map_err(|end| match end {
            BodyEnd::Lost => BodyFault::Lost,
            BodyEnd::Malformed(why) => BodyFault::Malformed(Some(why)),
        })
    }

    fn size_hint(&self) -> SizeHint {
        let Some(connection) = &self.connection else {
            return SizeHint::with_exact(0);
        };
        match connection.borrow().coming() {
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
            Self::Http1(body) => body.poll_frame(cx),
            Self::Http2(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|error| BodyFault::of(&error)),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.connection.is_none(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::http1::{
        connection::AwaitedHead,
        policy::{Limits, Policy},
    };
    use http_body_util::BodyExt;
    use std::{future::poll_fn, sync::Arc, time::Duration};
    use tokio::{io::AsyncWriteExt, net::UnixStream};

    const LONG: Duration = Duration::from_mins(1);

    async fn next(wire: &Rc<RefCell<ClientWire>>) -> Incoming {
        let mut awaited = AwaitedHead::default();
        let head = poll_fn(|cx| wire.borrow_mut().poll_head(&mut awaited, cx)).await;
        assert!(head.is_ok());
        Incoming::http1(wire)
    }

    #[tokio::test]
    async fn a_reader_has_the_connection_until_the_end_of_its_own_body_only() {
        let policy = Arc::new(Policy {
            limits: Limits {
                head_bytes: 1000,
                headers: 10,
            },
            idle: LONG,
            head: LONG,
            write: LONG,
            on_malformed: Box::new(|_, _| ()),
        });
        let (near, mut far) = UnixStream::pair().unwrap();
        let wire = Rc::new(RefCell::new(ClientWire::new(near.into(), &policy)));
        for body in ["one", "two", "six"] {
            let request = format!("POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\n{body}");
            far.write_all(request.as_bytes()).await.unwrap();
        }
        let mut first = next(&wire).await;
        assert_eq!((Rc::strong_count(&wire), first.is_end_stream()), (2, false));
        let part = first.frame().await.unwrap().unwrap();
        assert_eq!(part.data_ref().unwrap(), "one");
        assert_eq!((Rc::strong_count(&wire), first.is_end_stream()), (1, true));
        let mut second = next(&wire).await;
        assert!(first.frame().await.is_none());
        // Nobody may skip what has a reader; where it is done all the same, the reader
        // finds nothing of the next request.
        assert!(wire.borrow_mut().skip_body());
        let third = next(&wire).await;
        let found = second.frame().await.unwrap();
        assert_eq!(found.unwrap_err(), BodyFault::Lost);
        let collected = third.collect().await.unwrap().to_bytes();
        assert_eq!(collected, "six");
    }
}

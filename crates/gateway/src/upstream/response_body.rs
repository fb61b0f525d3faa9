//! A response's body on its way to a client.

use super::{
    body_timeout::{BodyTimeout, Cut},
    cache::Tee,
    grpc_status,
    http1::{IncomingBody, UpstreamConnection, error::ConnectionError},
    own_connections::Return,
    pool::Pool,
};
use crate::body::trailers::checked;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

/// A response's body on its way to a client.
pub(crate) enum ResponseBody {
    /// The gateway's own.
    Own(Option<Bytes>),
    /// An upstream's, with the connection that it comes over.
    Upstream(Passing),
    /// An upstream's, over a connection that many share.
    Stream(Box<PassingStream>),
}

/// A failure that is told one turn late. In between, what came before it is
/// written, first of all the head: a client that gets nothing at all of an answer
/// may send its request again, also a write.
#[derive(Default)]
struct Postponed(Option<BodyError>);

impl Postponed {
    fn put_off(&mut self, error: BodyError, cx: &Context<'_>) {
        self.0 = Some(error);
        cx.waker().wake_by_ref();
    }
}

/// Is told once when an answer turns out to have failed after its head.
#[derive(Default)]
struct FailureWatch(Option<Box<dyn FnOnce()>>);

impl FailureWatch {
    fn failed(&mut self) {
        if let Some(tell) = self.0.take() {
            tell();
        }
    }

    /// Looks at trailers.
    fn look(&mut self, frame: &Frame<Bytes>) {
        if frame.trailers_ref().is_some_and(grpc_status::is_failure) {
            self.failed();
        }
    }
}

/// An upstream's body, with its place on a connection that many share.
pub(crate) struct PassingStream {
    /// `None` once it was cut off.
    body: Option<(Incoming, Rc<()>)>,
    pool: Rc<Pool>,
    body_timeout: BodyTimeout,
    failure: Postponed,
    watch: FailureWatch,
}

/// An upstream's body. Polling it drives the connection; when it has ended,
/// the connection goes back to the pool.
pub(crate) struct Passing {
    body: IncomingBody,
    connection: Option<(UpstreamConnection, Return)>,
    pool: Rc<Pool>,
    body_timeout: BodyTimeout,
    failure: Postponed,
    watch: FailureWatch,
    /// Where it is to be kept, too.
    tee: Option<Box<Tee>>,
}

/// Why a body ended early.
pub(crate) type BodyError = Box<dyn std::error::Error + Send + Sync>;

impl ResponseBody {
    pub(crate) fn own(bytes: Bytes) -> Self {
        Self::Own(Some(bytes))
    }

    pub(crate) fn empty() -> Self {
        Self::Own(None)
    }

    pub(crate) fn stream(
        body: Incoming,
        place: Rc<()>,
        pool: Rc<Pool>,
        body_timeout: BodyTimeout,
    ) -> Self {
        Self::Stream(Box::new(PassingStream {
            body: Some((body, place)),
            pool,
            body_timeout,
            failure: Postponed::default(),
            watch: FailureWatch::default(),
        }))
    }

    pub(crate) fn upstream(
        body: IncomingBody,
        connection: UpstreamConnection,
        pool: Rc<Pool>,
        body_timeout: BodyTimeout,
        returns: Return,
    ) -> Self {
        Self::Upstream(Passing {
            body,
            connection: Some((connection, returns)),
            pool,
            body_timeout,
            failure: Postponed::default(),
            watch: FailureWatch::default(),
            tee: None,
        })
    }

    /// Has `tell` be called once, should the answer break off, or say in its trailers that
    /// it has failed.
    pub(crate) fn on_failure(&mut self, tell: Box<dyn FnOnce()>) {
        match self {
            Self::Own(_) => {}
            Self::Upstream(passing) => passing.watch = FailureWatch(Some(tell)),
            Self::Stream(stream) => stream.watch = FailureWatch(Some(tell)),
        }
    }

    /// Keeps what comes, too.
    pub(crate) fn keep(mut self, tee: Tee) -> Self {
        if let Self::Upstream(passing) = &mut self {
            passing.tee = Some(Box::new(tee));
        }
        self
    }
}

impl Passing {
    fn give_back(&mut self) {
        if let Some((connection, returns)) = self.connection.take() {
            returns.give_back(&self.pool, connection);
        }
        if let Some(tee) = self.tee.take() {
            (*tee).finish();
        }
    }

    /// Looks at what came on its way to the client.
    fn watched(
        &mut self,
        frame: Poll<Option<Result<Frame<Bytes>, ConnectionError>>>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match frame {
            Poll::Pending => {
                let Poll::Ready(cut) = self.body_timeout.poll(&self.pool.upstream, cx) else {
                    return Poll::Pending;
                };
                self.fail(cut.into(), cx)
            }
            Poll::Ready(None) => {
                self.give_back();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Ok(frame))) => {
                self.body_timeout.moved();
                self.watch.look(&frame);
                if let Some(tee) = &mut self.tee {
                    // Trailers are not kept, so neither is what has some.
                    let keeps = frame.data_ref().is_some_and(|data| tee.add(data));
                    if !keeps {
                        self.tee = None;
                    }
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                BodyTimeout::note(&self.pool.upstream, Cut::Broken, &error);
                self.fail(error.into(), cx)
            }
        }
    }

    fn fail<T>(&mut self, error: BodyError, cx: &Context<'_>) -> Poll<T> {
        self.connection = None;
        self.tee = None;
        self.watch.failed();
        self.failure.put_off(error, cx);
        Poll::Pending
    }
}

impl PassingStream {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(error) = self.failure.0.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let Some((body, _)) = &mut self.body else {
            return Poll::Ready(None);
        };
        let error: BodyError = match Pin::new(body).poll_frame(cx) {
            Poll::Ready(Some(Err(error))) => {
                BodyTimeout::note(&self.pool.upstream, Cut::Broken, &error);
                error.into()
            }
            Poll::Ready(frame) => {
                self.body_timeout.moved();
                if let Some(Ok(frame)) = &frame {
                    self.watch.look(frame);
                }
                return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
            }
            Poll::Pending => ready!(self.body_timeout.poll(&self.pool.upstream, cx)).into(),
        };
        // Which resets the stream.
        self.body = None;
        self.watch.failed();
        self.failure.put_off(error, cx);
        Poll::Pending
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        // Who has its last frame may drop it without asking for the end.
        if self.body.has_ended() {
            self.give_back();
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let passing = match self.get_mut() {
            Self::Own(bytes) => {
                return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))));
            }
            Self::Stream(stream) => return checked(stream.poll_frame(cx)),
            Self::Upstream(passing) => passing,
        };
        if let Some(error) = passing.failure.0.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let frame = match &mut passing.connection {
            Some((connection, _)) => connection.poll_frame(&mut passing.body, cx),
            None => Poll::Ready(None),
        };
        checked(passing.watched(frame, cx))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_none(),
            Self::Stream(stream) => {
                let failed = stream.failure.0.is_some();
                let body = stream.body.as_ref();
                !failed && body.is_none_or(|(body, _)| body.is_end_stream())
            }
            Self::Upstream(passing) => passing.body.has_ended(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Stream(stream) => match &stream.body {
                Some((body, _)) => body.size_hint(),
                None => SizeHint::default(),
            },
            Self::Upstream(passing) => passing.body.size_hint(),
        }
    }
}

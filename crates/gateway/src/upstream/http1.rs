//! One connection to an upstream that speaks HTTP/1, and the exchange of one
//! request and its answer over it.
//!
//! Nothing is spawned for it: it is driven by the task of the request that
//! uses it, first while its answer is awaited ([`UpstreamConnection::exchange`]), then while
//! the answer's body is passed on ([`UpstreamConnection::poll_frame`]). So a request is one
//! task from end to end and nothing crosses between tasks. While a connection
//! waits it has no buffers: an answer is read into one that is made when there
//! is something to read, and which goes on to the client as it is. Both is what
//! makes this cheap, and why it is our own: `docs/performance.md`.

mod answer;
pub(crate) mod error;
mod incoming_body;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod replay;
mod sending;

use super::{addresses::Addresses, interim::Interim, loads::Busy};
use crate::{base::as_written::AsWritten, body::RequestBody, transport::socket::Wire};
use bytes::{Bytes, BytesMut};
use error::{ConnectionError, HEAD_BYTES_MAX};
use http::{Method, Request, Response};
use http_body::Frame;
use sending::Sending;
use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};
use tokio::io::AsyncRead;
use tokio::io::{AsyncReadExt, ReadBuf};

pub(crate) use incoming_body::IncomingBody;

/// What is read at once before an answer's length is known: nearly all of them
/// fit, head and body.
const FIRST_READ_BYTES: usize = 8 << 10;

/// A connection to an upstream.
pub(crate) struct UpstreamConnection {
    /// At which instance it is busy; `None` while it is idle.
    busy: Option<Busy>,
    /// In a box of its own, which stays where it is while the link is passed on.
    connection: Box<ConnectionState>,
    /// What requests say as their `Host` that have none.
    authority: Arc<str>,
}

struct ConnectionState {
    wire: Wire,
    /// What was read and is not taken yet. Without memory while nothing is.
    read: BytesMut,
    /// The request, until all of it is written.
    sending: Option<Box<Sending>>,
    /// Whether the upstream lets it be after this answer, as far as is known.
    persists: bool,
    /// When it was given back last.
    idle_since: Instant,
}

/// An exchange without an answer.
pub(crate) struct NoAnswer {
    pub(crate) error: ConnectionError,
    /// Not a byte of the request was written; it is back where it was.
    pub(crate) is_unsent: bool,
    /// Of the answer, before it ended.
    pub(crate) came: Came,
}

/// What came of an answer that has no head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// Not a byte, or it does not matter.
    Nothing,
    /// A part of its head.
    Begun,
    /// A record of TLS, such as its alert that this was none.
    Tls,
    /// Bytes that begin no answer of HTTP/1.
    Other,
}

impl Came {
    fn of(read: &[u8]) -> Self {
        const BEGIN: &[u8] = b"HTTP/";
        // Of handshakes and alerts: their kind, and the version's first byte.
        let is_tls = matches!(read, [0x15 | 0x16, 3, ..]);
        let text = &read[..read.len().min(BEGIN.len())];
        if read.is_empty() {
            Self::Nothing
        } else if is_tls {
            Self::Tls
        } else if BEGIN.starts_with(text) {
            Self::Begun
        } else {
            Self::Other
        }
    }
}

impl UpstreamConnection {
    /// Connects to an instance, for a request.
    pub(crate) async fn connect(
        busy: Busy,
        addresses: &Addresses,
        bound: Duration,
    ) -> io::Result<Self> {
        let connection = ConnectionState {
            wire: addresses.connect(bound).await?,
            read: BytesMut::new(),
            sending: None,
            persists: true,
            idle_since: Instant::now(),
        };
        Ok(Self {
            busy: Some(busy),
            connection: Box::new(connection),
            authority: Arc::clone(addresses.authority()),
        })
    }

    /// A request begins.
    pub(crate) fn begin(&mut self, busy: Busy) {
        self.busy = Some(busy);
    }

    /// Its request has ended. At which instance.
    pub(crate) fn end(&mut self) -> Option<usize> {
        self.connection.idle_since = Instant::now();
        self.busy.take().map(|busy| busy.instance())
    }

    /// When it was given back last.
    pub(crate) fn idle_since(&self) -> Instant {
        self.connection.idle_since
    }

    /// Whether another request may follow: the last one was written and its
    /// answer read to the end, and neither side said that it was the last.
    pub(crate) fn is_reusable(&self) -> bool {
        let ConnectionState {
            read,
            sending,
            persists,
            ..
        } = &*self.connection;
        *persists && sending.is_none() && read.is_empty()
    }

    /// Whether the upstream has neither closed it nor sent what nobody asked
    /// for, as far as the runtime has heard.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut byte = ReadBuf::new(&mut byte);
        let wire = Pin::new(&mut self.connection.wire);
        let cx = &mut Context::from_waker(Waker::noop());
        wire.poll_read(cx, &mut byte).is_pending()
    }

    /// Sends a request and waits for the head of its answer; what else of the
    /// answer comes is taken by [`Self::poll_frame`]. The request's head stays
    /// where it is, and so does a body that is whole. Interim answers are left with
    /// `interim`. Dropping the future closes the connection.
    pub(crate) async fn exchange(
        mut self,
        request: &mut Request<RequestBody>,
        interim: Option<&Interim>,
    ) -> Result<(Response<IncomingBody>, Self), NoAnswer> {
        let is_head = request.method() == Method::HEAD;
        let connection = &mut *self.connection;
        let sending = Box::new(Sending::new(request, &self.authority));
        connection.persists &= !sending.is_last();
        connection.sending = Some(sending);
        match poll_fn(|cx| connection.poll_answer(is_head, interim, cx)).await {
            Ok(response) => Ok((response, self)),
            Err(error) => {
                let sending = connection.sending.take();
                let is_unsent = sending.is_some_and(|sending| sending.take_back(request));
                let came = if error.is_connections() {
                    Came::of(&connection.read)
                } else {
                    Came::Nothing
                };
                Err(NoAnswer {
                    error,
                    is_unsent,
                    came,
                })
            }
        }
    }

    /// The next part of an answer's body; what is left of the request is sent
    /// meanwhile.
    pub(crate) fn poll_frame(
        &mut self,
        coming: &mut IncomingBody,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ConnectionError>>> {
        self.connection
            .poll_frame(coming, cx)
            .map(Result::transpose)
    }

    /// The bytes themselves, for another protocol than HTTP.
    pub(crate) fn into_wire(self) -> Wire {
        let ConnectionState { mut wire, read, .. } = *self.connection;
        wire.put_back(read.freeze());
        wire
    }
}

impl ConnectionState {
    fn poll_answer(
        &mut self,
        is_head: bool,
        interim: Option<&Interim>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<IncomingBody>, ConnectionError>> {
        match self.poll_send(cx) {
            Err(ConnectionError::Broken(error)) if self.has_begun() => {
                // An upstream may answer and hang up without reading all.
                tracing::debug!(%error, "request not written to its end");
                self.give_up_sending();
            }
            other => other?,
        }
        let mut judged = 0;
        loop {
            if answer::has_end(&self.read, judged)
                && let Some(answer) = answer::read(&mut self.read, is_head)?
            {
                if answer.is_interim() {
                    if let Some(interim) = interim {
                        let (head, _) = answer.response.into_parts();
                        let written = head.extensions.get::<AsWritten>();
                        interim.add(head.status, head.headers, written);
                    }
                    judged = 0;
                    continue;
                }
                self.persists &= answer.persists;
                return Poll::Ready(Ok(answer.response));
            }
            judged = self.read.len();
            if judged >= HEAD_BYTES_MAX {
                return Poll::Ready(Err(ConnectionError::HeadTooLarge));
            }
            if ready!(self.poll_fill(FIRST_READ_BYTES, cx))? == 0 {
                return Poll::Ready(Err(ConnectionError::Closed));
            }
        }
    }

    fn poll_frame(
        &mut self,
        coming: &mut IncomingBody,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame<Bytes>>, ConnectionError>> {
        loop {
            let frame = coming.take(&mut self.read)?;
            if frame.is_some() || coming.has_ended() {
                return Poll::Ready(Ok(frame));
            }
            if self.sending.is_some()
                && let Err(error) = self.poll_send(cx)
            {
                tracing::debug!(%error, "request not written to its end");
                self.give_up_sending();
            }
            if ready!(self.poll_fill(coming.awaits(), cx))? == 0 {
                coming.close()?;
            }
        }
    }

    /// Writes what can be written.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Result<(), ConnectionError> {
        if let Some(sending) = &mut self.sending
            && sending.poll(&mut self.wire, cx)?.is_ready()
        {
            self.sending = None;
        }
        Ok(())
    }

    fn has_begun(&self) -> bool {
        self.sending
            .as_ref()
            .is_none_or(|sending| sending.has_begun())
    }

    fn give_up_sending(&mut self) {
        self.sending = None;
        self.persists = false;
    }

    /// Reads once, at most about `bytes`. 0: there is nothing more.
    fn poll_fill(&mut self, bytes: usize, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // Before there is something to read there is no room for it either.
        ready!(self.wire.poll_readable(cx))?;
        self.read.reserve(bytes);
        pin!(self.wire.read_buf(&mut self.read)).poll(cx)
    }
}

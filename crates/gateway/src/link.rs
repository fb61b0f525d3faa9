//! One connection to an upstream.
//!
//! Nothing is spawned for it: it is driven by the task of the request that
//! uses it, first while its answer is awaited ([`Link::exchange`]), then while
//! the answer's body is passed on. So a request is one task from end to end
//! and nothing crosses between tasks, which is what makes this cheap.

use crate::{
    body::RequestBody,
    upstream::{addresses::Addresses, local::Busy},
    wire::Wire,
};
use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;
use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// The largest head of an answer, and what is read at once of its body.
const UPSTREAM_BUFFER_BYTES: usize = 64 << 10;

/// A connection to an upstream.
pub(crate) struct Link {
    /// At which instance it is busy; `None` while it is idle.
    busy: Option<Busy>,
    sender: SendRequest<RequestBody>,
    /// Gone once it has ended: a request that it had not begun to write then
    /// comes back to its sender.
    connection: Option<Box<Connection<TokioIo<Wire>, RequestBody>>>,
    /// When it was given back last.
    pub(crate) idle_since: Instant,
}

/// An exchange without an answer.
pub(crate) struct NoAnswer {
    pub(crate) error: hyper::Error,
    /// Not a byte of the request was written; it is back where it was.
    pub(crate) is_unsent: bool,
}

impl Link {
    /// Connects to an instance, for a request.
    pub(crate) async fn connect(
        busy: Busy,
        addresses: &Addresses,
        bound: Duration,
    ) -> io::Result<Self> {
        let wire = addresses.connect(bound).await?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(UPSTREAM_BUFFER_BYTES)
            // The size of the buffer alone does not bound a head: it grows.
            .max_header_size(UPSTREAM_BUFFER_BYTES)
            // Nearly all requests are a head only: one buffer, without a list
            // of buffers to look through at each step.
            .writev(false)
            .handshake(TokioIo::new(wire))
            .await
            .map_err(io::Error::other)?;
        let connection = Some(Box::new(connection));
        Ok(Self {
            busy: Some(busy),
            sender,
            connection,
            idle_since: Instant::now(),
        })
    }

    /// A request begins.
    pub(crate) fn begin(&mut self, busy: Busy) {
        self.busy = Some(busy);
    }

    /// Its request has ended. At which instance.
    pub(crate) fn end(&mut self) -> Option<usize> {
        self.busy.take().map(|busy| busy.instance())
    }

    /// Sends a request and waits for the head of its answer. Dropping the
    /// future closes the connection. The request is taken from where it is:
    /// passed by value, each future on the way here would keep a room for it.
    pub(crate) async fn exchange(
        mut self,
        request: &mut Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Self), NoAnswer> {
        let answer = {
            let Self {
                sender, connection, ..
            } = &mut self;
            let mut answer = pin!(sender.try_send_request(std::mem::take(request)));
            poll_fn(|cx| {
                drive(connection, cx);
                answer.as_mut().poll(cx)
            })
            .await
        };
        match answer {
            Ok(response) => Ok((response, self)),
            Err(mut error) => {
                let unsent = error.take_message();
                let is_unsent = unsent.is_some();
                if let Some(unsent) = unsent {
                    *request = unsent;
                }
                Err(NoAnswer {
                    error: error.into_error(),
                    is_unsent,
                })
            }
        }
    }

    /// Lets the connection read and write what it can.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.connection, cx);
    }

    /// Drives it without being woken again; sees an end that has been read.
    pub(crate) fn drive_idly(&mut self) {
        self.drive(&mut Context::from_waker(Waker::noop()));
    }

    /// Whether it can take a request.
    pub(crate) fn is_ready(&self) -> bool {
        self.connection.is_some() && self.sender.is_ready()
    }
}

fn drive(
    connection: &mut Option<Box<Connection<TokioIo<Wire>, RequestBody>>>,
    cx: &mut Context<'_>,
) {
    if let Some(running) = connection {
        // What went wrong is told to the request, not here.
        if let Poll::Ready(_ended) = Pin::new(&mut **running).poll(cx) {
            *connection = None;
        }
    }
}

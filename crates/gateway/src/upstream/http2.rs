//! Upstreams that speak HTTP/2: connections that many requests share, each
//! driven by a task of its own.
//!
//! Beside the pool of HTTP/1 connections, not in it: such a connection is not
//! taken and given back, and belongs to no request.

use super::{failure::Failure, instance::Instance};
use crate::{
    base::{executor::Local, refusal::Refusal},
    body::RequestBody,
};
use http::{
    Request, Response, Uri, Version, header,
    uri::{Authority, Scheme},
};
use hyper::{
    body::Incoming,
    client::conn::http2::{Builder, SendRequest},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use plan::UpstreamUrl;
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};
use tokio::{sync::Mutex, task::spawn_local};

/// Requests at once on one connection, after which another one is made, and
/// how many there may be to one upstream; beyond that they are shared more.
const STREAMS_PER_CONNECTION: usize = 100;
const CONNECTIONS_MAX: usize = 8;

/// What an upstream may send of one answer before its client reads it, and on
/// one connection: as much as all its streams together, so that clients that
/// read slowly never stop the others.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 100 * STREAM_WINDOW_BYTES;

/// What is kept of one request for an upstream that reads slowly.
const SEND_BUFFER_BYTES: usize = 64 << 10;

/// The largest head of an answer, and its trailers.
const HEAD_BYTES_MAX: u32 = 64 << 10;

/// How often an upstream that is busy and silent is asked whether it is still
/// there, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// An answer's body, and its place on the connection.
pub(crate) type SharedBody = (Incoming, Rc<()>);

/// The connections of one worker to an upstream, by instance.
pub(crate) struct Multiplexed(Vec<Connections>);

#[derive(Default)]
struct Connections {
    kept: RefCell<Vec<SharedConnection>>,
    connecting: Mutex<()>,
    /// How often connecting has failed: who waited for one that failed has
    /// waited long enough.
    failures: Cell<u64>,
}

/// A connection and its requests: one reference each, besides its own.
#[derive(Clone)]
struct SharedConnection {
    sender: SendRequest<RequestBody>,
    streams: Rc<()>,
}

impl SharedConnection {
    fn is_full(&self) -> bool {
        Rc::strong_count(&self.streams) > STREAMS_PER_CONNECTION
    }
}

impl Multiplexed {
    pub(crate) fn new(instances: usize) -> Self {
        let none = |_| Connections::default();
        Self((0..instances).map(none).collect())
    }

    /// Sends a request to an instance and waits for the head of its answer.
    /// `bound` is for connecting. It is sent once more only where h2 hands it back, not a byte of it sent.
    pub(crate) async fn forward(
        &self,
        place: usize,
        instance: &Instance,
        bound: Duration,
        mut request: Request<RequestBody>,
    ) -> Result<Response<SharedBody>, Failure> {
        let url = &instance.url;
        address(&mut request, url).map_err(Failure::NotSent)?;
        let connections = &self.0[place];
        if let Some(kept) = connections.kept() {
            match send(kept, request, url).await {
                Ok(response) => return Ok(response),
                Err(NoAnswer::Unsent(unsent)) => request = *unsent,
                Err(NoAnswer::Failed(failure)) => return Err(failure),
            }
        }
        let fresh = connections.connect(instance, bound).await?;
        match send(fresh, request, url).await {
            Ok(response) => Ok(response),
            Err(NoAnswer::Unsent(_)) => Err(Failure::NotSent(Refusal::Lost)),
            Err(NoAnswer::Failed(failure)) => Err(failure),
        }
    }
}

impl Connections {
    /// The connection with the fewest requests, unless another one is due.
    fn kept(&self) -> Option<SharedConnection> {
        let mut connections = self.kept.borrow_mut();
        connections.retain(|connection| !connection.sender.is_closed());
        let idlest = connections
            .iter()
            .min_by_key(|connection| Rc::strong_count(&connection.streams))?;
        if idlest.is_full() && connections.len() < CONNECTIONS_MAX {
            return None;
        }
        Some(idlest.clone())
    }

    /// Connects, unless somebody who was first has.
    async fn connect(
        &self,
        instance: &Instance,
        bound: Duration,
    ) -> Result<SharedConnection, Failure> {
        let failures = self.failures.get();
        let _one_at_a_time = self.connecting.lock().await;
        if let Some(kept) = self.kept() {
            return Ok(kept);
        }
        let unreachable = Failure::NotSent(Refusal::Unreachable);
        if self.failures.get() != failures {
            return Err(unreachable);
        }
        let connected = connect(instance, bound).await.map_err(|error| {
            tracing::warn!(upstream = %instance.url, %error, "upstream not reached");
            self.failures.set(failures + 1);
            unreachable
        })?;
        self.kept.borrow_mut().push(connected.clone());
        Ok(connected)
    }
}

async fn connect(instance: &Instance, bound: Duration) -> std::io::Result<SharedConnection> {
    let wire = instance.addresses.connect(bound).await?;
    let (sender, connection) = Builder::new(Local)
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_header_list_size(HEAD_BYTES_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .handshake(TokioIo::new(wire))
        .await
        .map_err(std::io::Error::other)?;
    spawn_local(async move {
        // What went wrong is told to its requests.
        if let Err(error) = connection.await {
            tracing::debug!(%error, "upstream connection ended");
        }
    });
    Ok(SharedConnection {
        sender,
        streams: Rc::new(()),
    })
}

enum NoAnswer {
    /// Not a byte of it was sent.
    Unsent(Box<Request<RequestBody>>),
    Failed(Failure),
}

async fn send(
    connection: SharedConnection,
    request: Request<RequestBody>,
    url: &UpstreamUrl,
) -> Result<Response<SharedBody>, NoAnswer> {
    let SharedConnection {
        mut sender,
        streams,
    } = connection;
    match sender.try_send_request(request).await {
        Ok(response) => Ok(response.map(|body| (body, streams))),
        Err(mut error) => {
            if let Some(unsent) = error.take_message() {
                return Err(NoAnswer::Unsent(Box::new(unsent)));
            }
            let error = error.into_error();
            tracing::warn!(upstream = %url, %error, "request lost at the upstream");
            Err(NoAnswer::Failed(if is_refused(&error) {
                Failure::NotSent(Refusal::Lost)
            } else {
                Failure::Sent(Refusal::Lost)
            }))
        }
    }
}

/// Whether the upstream says that it has not looked at the request
/// (RFC 9113, 8.7).
fn is_refused(error: &hyper::Error) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<h2::Error>())
        .is_some_and(|error| {
            error.is_remote() && error.reason() == Some(h2::Reason::REFUSED_STREAM)
        })
}

/// Makes a head for HTTP/1 one for HTTP/2: `Host` becomes the authority.
fn address(request: &mut Request<RequestBody>, url: &UpstreamUrl) -> Result<(), Refusal> {
    let wrong = |_| Refusal::BadHead("the Host cannot be made an authority");
    let authority = match request.headers_mut().remove(header::HOST) {
        Some(host) => Authority::try_from(host.as_bytes()).map_err(wrong)?,
        None => Authority::try_from(url.authority()).map_err(wrong)?,
    };
    request.headers_mut().remove(header::CONNECTION);
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    *request.uri_mut() =
        Uri::from_parts(parts).map_err(|_| Refusal::BadHead("the target cannot be read"))?;
    *request.version_mut() = Version::HTTP_2;
    Ok(())
}

//! The clients' connections of one worker.

use super::http2;
use crate::{
    base::{
        deadline::{Timer, timeout},
        peer::{Peer, Scheme},
    },
    request::{client_connection::ClientConnection, serve::serve},
    state::{
        connections::{ConnectionEntry, Connections},
        worker::Current,
    },
    transport::{
        http1_validator::Validated, listeners::Listening, proxy_protocol::Source, socket::Wire,
        tls::Tls,
    },
};
use http::{HeaderValue, Request, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    net::IpAddr,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::Duration,
};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::Semaphore,
    task::spawn_local,
};

/// The most connections of one worker, 12 KiB each when idle. Past it, clients
/// wait in the listening socket's queue.
const CONNECTIONS_MAX: usize = 10_000;

/// What is read at once of a request, and so kept per slow connection.
const READ_BUFFER_BYTES: usize = 64 << 10;

/// How many headers hyper takes where it is not told.
const HYPER_HEADERS_MAX: usize = 100;

/// Wait after accepting failed, most often for want of file descriptors, which
/// only ending connections give back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a client, or the proxy in front, may take to begin: the header of
/// the PROXY protocol and the handshake of TLS, each.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(10);

/// A socket that a worker accepts from, and how it speaks there.
pub(crate) struct Bound {
    pub(crate) socket: Listening,
    pub(crate) manner: Manner,
}

/// How clients of a listener begin.
#[derive(Clone)]
pub(crate) struct Manner {
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) proxy_protocol: bool,
}

/// How many connections a worker may still take.
#[derive(Clone)]
pub(crate) struct ConnectionLimit(Arc<Semaphore>);

impl ConnectionLimit {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(CONNECTIONS_MAX)))
    }
}

/// Accepts clients until it is dropped.
pub(crate) async fn accept(current: Rc<Current>, bound: Bound, room: ConnectionLimit) {
    let Bound { socket, manner } = bound;
    let listener = match Listener::new(socket) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "listening socket not usable"),
    };
    loop {
        // It is never closed.
        let Ok(permit) = Arc::clone(&room.0).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((wire, address)) => {
                let (current, manner) = (Rc::clone(&current), manner.clone());
                let entry = ConnectionEntry::new(&current.get().connections);
                spawn_local(async move {
                    entry.register().await;
                    converse(&entry.connections, current, manner, wire, address).await;
                    drop((entry, permit));
                });
            }
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A listening socket of this worker's runtime.
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    fn new(socket: Listening) -> io::Result<Self> {
        match socket {
            Listening::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener).map(Self::Tcp)
            }
            Listening::Unix(listener) => {
                listener.set_nonblocking(true)?;
                UnixListener::from_std(listener).map(Self::Unix)
            }
        }
    }

    async fn accept(&self) -> io::Result<(Wire, Option<IpAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Fails for clients that have gone: reading tells.
                let _ = stream.set_nodelay(true);
                Ok((stream.into(), Some(address.ip())))
            }
            Self::Unix(listener) => Ok((listener.accept().await?.0.into(), None)),
        }
    }
}

/// Serves one client. A panic in a request ends its task, and no more.
async fn converse(
    connections: &Connections,
    current: Rc<Current>,
    manner: Manner,
    wire: Wire,
    address: Option<IpAddr>,
) {
    let idle = current.get().config.settings.client.idle;
    let begun = if manner.tls.is_none() && !manner.proxy_protocol {
        let begin = begin_plainly(idle, wire, address, Scheme::Plain);
        unless_closing(connections, begin).await
    } else {
        // Their future is large.
        let begin = begin(idle, manner, wire, address);
        Box::pin(unless_closing(connections, begin)).await
    };
    match begun {
        Ok((wire, peer, Speaks::Http1)) => {
            http1(connections, &current, Rc::new(peer), wire).await;
        }
        Ok((wire, peer, Speaks::Http2)) => {
            Box::pin(http2::converse(connections, current, Rc::new(peer), wire)).await;
        }
        Err(error) => tracing::debug!(%error, "client connection not begun"),
    }
}

/// Gives up a client that has not begun when connections are closed.
async fn unless_closing<T>(
    connections: &Connections,
    beginning: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let mut beginning = pin!(beginning);
    poll_fn(|cx| match beginning.as_mut().poll(cx) {
        Poll::Pending if connections.are_closing() => {
            Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
        }
        other => other,
    })
    .await
}

/// What a client speaks.
enum Speaks {
    Http1,
    Http2,
}

/// What the proxy in front and TLS have to say comes first.
async fn begin(
    idle: Duration,
    manner: Manner,
    mut wire: Wire,
    mut address: Option<IpAddr>,
) -> io::Result<(Wire, Peer, Speaks)> {
    if manner.proxy_protocol
        && let Source::Client(client) = timeout(BEGIN_TIMEOUT, wire.read_proxy_header()).await??
    {
        address = Some(client.ip());
    }
    let Some(tls) = manner.tls else {
        return begin_plainly(idle, wire, address, Scheme::Plain).await;
    };
    let (wire, is_http2) = timeout(BEGIN_TIMEOUT, tls.accept(wire)).await??;
    let speaks = if is_http2 {
        Speaks::Http2
    } else {
        Speaks::Http1
    };
    Ok((wire, Peer::new(address, Scheme::Tls), speaks))
}

/// Without TLS, a client that speaks HTTP/2 just does so.
async fn begin_plainly(
    idle: Duration,
    mut wire: Wire,
    address: Option<IpAddr>,
    scheme: Scheme,
) -> io::Result<(Wire, Peer, Speaks)> {
    let speaks = if timeout(idle, wire.begins_with_http2()).await?? {
        Speaks::Http2
    } else {
        Speaks::Http1
    };
    Ok((wire, Peer::new(address, scheme), speaks))
}

/// Speaks HTTP/1 with a client, and whatever it upgrades to.
///
/// This is the one place where HTTP/1's bytes come in, through a validator that
/// comes off at the upgrade.
async fn http1(connections: &Connections, current: &Current, peer: Rc<Peer>, wire: Wire) {
    let lasting = Rc::new(ClientConnection::default());
    let service = service_fn(|request: Request<Incoming>| {
        let (worker, peer) = (current.get(), Rc::clone(&peer));
        let lasting = Rc::clone(&lasting);
        let (mut parts, body) = request.into_parts();
        // Boxed: an idle connection does not keep the room that a request needs.
        // Made in the box, not copied there: each KiB would be one that misses
        // the cache. For the same reason what is seldom has a box of its own
        // further down, and what is moved on is passed by reference.
        let place = Box::new_uninit();
        let answering = async move {
            let mut response = serve(&worker, &peer, Some(&lasting), &mut parts, body).await;
            if !connections.are_open() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            Ok::<_, Infallible>(response)
        };
        Box::into_pin(Box::write(place, answering))
    });
    // A connection keeps the bounds that it began with.
    let config = Arc::clone(&current.get().config);
    let client = &config.settings.client;
    let io = Validated::new(TokioIo::new(wire), &config.http1_policy);
    let mut http = http1::Builder::new();
    // Said, even if it is hyper's own, this number makes hyper allocate and
    // clear that many places for each head.
    if client.headers != HYPER_HEADERS_MAX {
        http.max_headers(client.headers);
    }
    let mut connection = http
        .timer(Timer)
        .header_read_timeout(client.idle)
        .max_header_size(client.head_bytes)
        .max_buf_size(READ_BUFFER_BYTES.max(client.head_bytes))
        .serve_connection(io, service);
    drop(config);
    let mut is_closing = false;
    let end = poll_fn(|cx| {
        if !is_closing && connections.are_closing() {
            is_closing = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        Pin::new(&mut connection).poll(cx)
    });
    if let Err(error) = end.await {
        tracing::debug!(client = ?peer.address, %error, "client connection ended");
        return;
    }
    if let Some(tunnel) = lasting.tunnel.take() {
        let http1::Parts { io, read_buf, .. } = connection.into_parts();
        // No transport left: the validator has refused bytes that were neither
        // HTTP nor sent after the upgrade was answered.
        let Some(io) = io.into_inner() else {
            return;
        };
        let mut wire = io.into_inner();
        wire.put_back(read_buf);
        Box::pin(tunnel.run(current, wire)).await;
    }
}

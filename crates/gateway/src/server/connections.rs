//! The clients' connections of one worker.

use super::{http1, http2};
use crate::{
    base::{
        deadline::timeout,
        peer::{Peer, Scheme},
    },
    state::{
        connections::{ConnectionEntry, Connections},
        worker::Current,
    },
    transport::{listeners::Listening, proxy_protocol::Source, socket::Wire, tls::Tls},
};
use std::{
    future::poll_fn, io, net::IpAddr, pin::pin, rc::Rc, sync::Arc, task::Poll, time::Duration,
};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::Semaphore,
    task::spawn_local,
};

/// The most connections of one worker, 2 KiB each when idle. Past it, clients
/// wait in the listening socket's queue.
const CONNECTIONS_MAX: usize = 10_000;

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
            http1::converse(connections, &current, Rc::new(peer), wire).await;
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

//! The bytes to a server and back, through TLS or not: every connection of ours
//! begins here, whatever protocol it then speaks.

use super::{connect_error::ConnectError, tls};
use bytes::BytesMut;
use plan::{DatabaseUrl, SslMode};
use postgres_protocol::message::frontend;
use socket2::{SockRef, TcpKeepalive};
use std::{
    future::{Ready, ready},
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

/// How long connecting may take, where nobody says it.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A peer that has vanished is noticed within about half a minute, also when
/// nothing is sent.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;

/// How long sent bytes may stay unacknowledged.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// One way of connecting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encryption {
    None,
    /// Where the server can.
    Offered,
    Demanded,
}

impl Encryption {
    /// What `sslmode` tries, in turn.
    fn ways(mode: SslMode) -> &'static [Self] {
        match mode {
            SslMode::Disable => &[Self::None],
            SslMode::Allow => &[Self::None, Self::Demanded],
            SslMode::Prefer => &[Self::Offered, Self::None],
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[Self::Demanded],
        }
    }
}

/// A connection before anything is said in PostgreSQL's protocol.
#[derive(Debug)]
pub(crate) enum Transport {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

/// Connects in the ways that `sslmode` allows, and starts what the connection
/// is for. As in libpq the next way is tried where the server does not let us
/// in by this one; a certificate that is wrong is no reason to go without.
pub(crate) async fn open<T, F: Future<Output = Result<T, ConnectError>>>(
    database: &DatabaseUrl,
    start: impl Fn(Transport) -> F,
) -> Result<T, ConnectError> {
    let limit = database
        .parameters
        .connect_timeout
        .unwrap_or(CONNECT_TIMEOUT);
    tokio::time::timeout(limit, in_turn(database, start))
        .await
        .unwrap_or(Err(ConnectError::TimedOut(limit)))
}

async fn in_turn<T, F: Future<Output = Result<T, ConnectError>>>(
    database: &DatabaseUrl,
    start: impl Fn(Transport) -> F,
) -> Result<T, ConnectError> {
    let mut first = None;
    for way in Encryption::ways(database.parameters.sslmode) {
        let opened = match connect(database, *way).await {
            Ok(transport) => start(transport).await,
            Err(error) => Err(error),
        };
        let error = match opened {
            Ok(opened) => return Ok(opened),
            Err(error) => error,
        };
        // Without TLS again, where the server offered none, says nothing new.
        let other_way_may_do =
            first.is_none() && error.refused_encrypted() == Some(*way == Encryption::Offered);
        let error = first.take().unwrap_or(error);
        if !other_way_may_do {
            return Err(error);
        }
        first = Some(error);
    }
    Err(first.unwrap_or(ConnectError::NoTls))
}

/// Connects one way.
pub(crate) async fn connect(
    database: &DatabaseUrl,
    encryption: Encryption,
) -> Result<Transport, ConnectError> {
    let mut tcp = TcpStream::connect((bare_host(database), database.port))
        .await
        .and_then(|tcp| tune(&tcp).map(|()| tcp))
        .map_err(ConnectError::Network)?;
    if encryption == Encryption::None {
        return Ok(Transport::Plain(tcp));
    }
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    let answer = async {
        tcp.write_all(&request).await?;
        // One byte and no more: what follows belongs to TLS.
        tcp.read_u8().await
    };
    match answer.await.map_err(ConnectError::Network)? {
        b'S' => {
            let stream = tls::connect(tcp, bare_host(database), &database.parameters).await?;
            Ok(Transport::Tls(Box::new(stream)))
        }
        b'N' if encryption == Encryption::Offered => Ok(Transport::Plain(tcp)),
        b'N' => Err(ConnectError::NoTls),
        _ => Err(ConnectError::Protocol(
            "what answers there does not know PostgreSQL's request for TLS".to_owned(),
        )),
    }
}

fn tune(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let socket = SockRef::from(tcp);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_RETRIES);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}

/// The host without the brackets of an IPv6 address.
fn bare_host(database: &DatabaseUrl) -> &str {
    let host = database.host.as_str();
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

impl Transport {
    /// Whether it goes through TLS.
    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// How to connect in the same way again.
    pub(crate) fn encryption(&self) -> Encryption {
        if self.is_encrypted() {
            Encryption::Demanded
        } else {
            Encryption::None
        }
    }

    /// The `tls-server-end-point` binding, where there is one.
    pub(crate) fn end_point(&self) -> Option<Vec<u8>> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => {
                let certificates = stream.get_ref().1.peer_certificates()?;
                tls::end_point(certificates.first()?)
            }
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl TlsStream for Transport {
    fn channel_binding(&self) -> ChannelBinding {
        self.end_point()
            .map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

/// For the driver: TLS, or that there is none, is settled by now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Established;

impl<S: TlsStream + Unpin> TlsConnect<S> for Established {
    type Stream = S;
    type Error = io::Error;
    type Future = Ready<io::Result<S>>;

    fn connect(self, stream: S) -> Self::Future {
        ready(Ok(stream))
    }
}

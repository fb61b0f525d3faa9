//! Requests to addresses that a caller has given: web-hooks, external services.
//! They must not reach into our network (server-side request forgery).
//!
//! Unless a setting lifts it, they lead to public addresses over https only. A
//! name is looked up once, and what was looked at is what is connected to: it
//! may lead elsewhere the next time. Redirections are answers like others, and
//! are not followed.

mod destination;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use url::Url;

pub use destination::{Destinations, parse};

const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Sends requests, each over a connection of its own: the address was looked
/// at for it. Cloning shares what is trusted.
#[derive(Clone)]
pub struct Outside {
    agent: &'static str,
    destinations: Destinations,
    tls: TlsConnector,
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside")
            .field("destinations", &self.destinations)
            .finish_non_exhaustive()
    }
}

/// What a request may cost.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// For all of it.
    pub time: Duration,
    /// For the answer's body; `None` where it is not read at all.
    pub body_bytes: Option<usize>,
}

/// Why there is no answer. The texts name no address.
#[derive(Debug, thiserror::Error)]
pub enum OutsideError {
    /// A request cannot be sent there.
    #[error("the address {0}")]
    Address(&'static str),
    /// Nor to this one.
    #[error("the address will not do")]
    Request(#[from] http::Error),
    /// No certificate can be for this name.
    #[error("the host's name will not do")]
    Name,
    /// The name leads inside, or nowhere.
    #[error("the host has no public address")]
    NotPublic,
    /// It did not end in time.
    #[error("it took longer than {} s", .0.as_secs_f64())]
    TooLong(Duration),
    /// The body does not end where it must.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The way there is broken.
    #[error("{0}")]
    Broken(String),
}

impl OutsideError {
    /// Whether trying again is of no use.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Address(_) | Self::Request(_) | Self::Name)
    }
}

impl Outside {
    /// Trusts the certificates that the system does. `agent` is what it says of
    /// itself.
    pub fn new(agent: &'static str, destinations: Destinations) -> Self {
        let mut roots = RootCertStore::empty();
        // Those that cannot be read are not trusted, which shows soon enough.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            agent,
            destinations,
            tls: TlsConnector::from(Arc::new(config)),
        }
    }

    /// Sends a request of this method and with these headers; its address and
    /// `Host` are set here. Cancel safe, but it may have been sent.
    pub async fn send(
        &self,
        url: &str,
        request: http::request::Builder,
        body: impl Into<Bytes>,
        bounds: Bounds,
    ) -> Result<Response<Bytes>, OutsideError> {
        let url = parse(url, self.destinations).map_err(OutsideError::Address)?;
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let mut request = request
            .header(header::USER_AGENT, self.agent)
            .body(Full::new(body.into()))?;
        let unfit = |error: http::header::InvalidHeaderValue| OutsideError::Request(error.into());
        let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let host = HeaderValue::try_from(host).map_err(unfit)?;
        request.headers_mut().insert(header::HOST, host);
        *request.uri_mut() = Uri::try_from(target).map_err(http::Error::from)?;
        let conversation = self.converse(&url, request, bounds.body_bytes);
        tokio::time::timeout(bounds.time, conversation)
            .await
            .unwrap_or(Err(OutsideError::TooLong(bounds.time)))
    }

    async fn converse(
        &self,
        url: &Url,
        request: Request<Full<Bytes>>,
        most: Option<usize>,
    ) -> Result<Response<Bytes>, OutsideError> {
        let stream = self.connect(url).await?;
        if url.scheme() == "http" {
            return exchange(stream, request, most).await;
        }
        let host = url.host_str().unwrap_or_default();
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let name = ServerName::try_from(host).map_err(|_| OutsideError::Name)?;
        let stream = self.tls.connect(name, stream).await;
        exchange(
            stream.map_err(|error| broken("no TLS", &error))?,
            request,
            most,
        )
        .await
    }

    async fn connect(&self, url: &Url) -> Result<TcpStream, OutsideError> {
        let port = url.port_or_known_default().unwrap_or_default();
        let addresses: Vec<SocketAddr> = match url.host() {
            Some(url::Host::Ipv4(address)) => vec![(IpAddr::V4(address), port).into()],
            Some(url::Host::Ipv6(address)) => vec![(IpAddr::V6(address), port).into()],
            Some(url::Host::Domain(name)) => lookup_host((name, port))
                .await
                .map_err(|error| broken("the host has no address", &error))?
                .collect(),
            None => Vec::new(),
        };
        let allowed: Vec<SocketAddr> = addresses
            .into_iter()
            .filter(|address| destination::may_connect(address.ip(), self.destinations))
            .collect();
        if allowed.is_empty() {
            return Err(OutsideError::NotPublic);
        }
        TcpStream::connect(&allowed[..])
            .await
            .map_err(|error| broken("cannot connect", &error))
    }
}

async fn exchange<S>(
    stream: S,
    request: Request<Full<Bytes>>,
    most: Option<usize>,
) -> Result<Response<Bytes>, OutsideError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken("no conversation", &error))?;
    let answer = async {
        let answer = sender.send_request(request).await;
        read(answer.map_err(|error| broken("no answer", &error))?, most).await
    };
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // It has ended either way: what came before the end is there.
        _ = connection => answer.await,
    }
}

async fn read(
    answer: Response<Incoming>,
    most: Option<usize>,
) -> Result<Response<Bytes>, OutsideError> {
    let (head, body) = answer.into_parts();
    let Some(most) = most else {
        return Ok(Response::from_parts(head, Bytes::new()));
    };
    match Limited::new(body, most).collect().await {
        Ok(body) => Ok(Response::from_parts(head, body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Err(OutsideError::TooLarge(most)),
        Err(error) => Err(broken("the answer broke off", &*error)),
    }
}

fn broken(what: &str, error: &dyn std::error::Error) -> OutsideError {
    OutsideError::Broken(format!("{what}: {error}"))
}

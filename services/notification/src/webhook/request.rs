//! One request to a web-hook's address, and nothing of its answer but the
//! status. A connection of its own each time: the address was checked for it.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use kit::outbox::Refusal;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use url::Url;

use super::destination;
use crate::settings::Destinations;

/// For all of it; a receiver is to take the message and work on it later.
const TIMEOUT: Duration = Duration::from_secs(15);
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Sends requests.
#[derive(Clone)]
pub struct Requests {
    destinations: Destinations,
    tls: TlsConnector,
}

impl std::fmt::Debug for Requests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Requests")
            .field("destinations", &self.destinations)
            .finish_non_exhaustive()
    }
}

impl Requests {
    /// Trusts the certificates that the system does.
    pub fn new(destinations: Destinations) -> Self {
        let mut roots = RootCertStore::empty();
        // Those that cannot be read are not trusted, which shows soon enough.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            destinations,
            tls: TlsConnector::from(Arc::new(config)),
        }
    }

    /// Posts a signed JSON document; the status of the answer.
    pub async fn post(
        &self,
        url: &str,
        id: &str,
        at: i64,
        signature: &str,
        body: Vec<u8>,
    ) -> Result<StatusCode, Refusal> {
        let url = destination::parse(url, self.destinations)
            .map_err(|reason| Refusal::Never(format!("the address {reason}")))?;
        let request = Request::post(&url[url::Position::BeforePath..url::Position::AfterQuery])
            .header(header::HOST, authority(&url))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, "banyan-notification")
            .header("webhook-id", id)
            .header("webhook-timestamp", at)
            .header("webhook-signature", signature)
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| Refusal::Never("the address will not do".to_owned()))?;
        match tokio::time::timeout(TIMEOUT, self.converse(&url, request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Refusal::Later("the receiver took too long".to_owned())),
        }
    }

    async fn converse(
        &self,
        url: &Url,
        request: Request<Full<Bytes>>,
    ) -> Result<StatusCode, Refusal> {
        let stream = self.connect(url).await?;
        if url.scheme() == "http" {
            return exchange(stream, request).await;
        }
        let host = url.host_str().unwrap_or_default();
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let name = ServerName::try_from(host)
            .map_err(|_| Refusal::Never("the host's name will not do".to_owned()))?;
        let stream = self.tls.connect(name, stream).await;
        exchange(stream.map_err(|error| later("no TLS", &error))?, request).await
    }

    /// To the very address that was looked at: a name may lead elsewhere the
    /// next time it is asked for.
    async fn connect(&self, url: &Url) -> Result<TcpStream, Refusal> {
        let port = url.port_or_known_default().unwrap_or_default();
        let addresses: Vec<SocketAddr> = match url.host() {
            Some(url::Host::Ipv4(address)) => vec![(IpAddr::V4(address), port).into()],
            Some(url::Host::Ipv6(address)) => vec![(IpAddr::V6(address), port).into()],
            Some(url::Host::Domain(name)) => lookup_host((name, port))
                .await
                .map_err(|error| later("the host has no address", &error))?
                .collect(),
            None => Vec::new(),
        };
        let allowed: Vec<SocketAddr> = addresses
            .into_iter()
            .filter(|address| destination::may_connect(address.ip(), self.destinations))
            .collect();
        if allowed.is_empty() {
            return Err(Refusal::Later("the host has no public address".to_owned()));
        }
        TcpStream::connect(&allowed[..])
            .await
            .map_err(|error| later("cannot connect", &error))
    }
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<StatusCode, Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| later("no conversation", &error))?;
    let mut answer = pin!(sender.send_request(request));
    let answer = tokio::select! {
        answer = &mut answer => answer,
        // It has ended either way: what came before the end is there.
        _ = connection => answer.await,
    };
    Ok(answer.map_err(|error| later("no answer", &error))?.status())
}

fn authority(url: &Url) -> &str {
    &url[url::Position::BeforeHost..url::Position::AfterPort]
}

fn later(what: &str, error: &dyn std::error::Error) -> Refusal {
    Refusal::Later(format!("{what}: {error}"))
}

//! The keys of an issuer of tokens, which it rotates (RFC 7517).
//!
//! One task reads them at start, then at the plan's interval, and out of turn
//! when a token names a key that is not there: rarely, however many such tokens
//! come. What was read last and was good is kept when reading fails.

use super::key_set::KeySet;
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use plan::{Jwks, JwksSource};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::{Notify, watch},
    time::{Instant, timeout},
};
use url::Url;

/// Key sets hold a handful of keys; a larger one is none.
const SET_BYTES_MAX: usize = 1 << 20;
/// How long reading may take, all together.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The least time between two readings, asked for or after a failure.
const PAUSE: Duration = Duration::from_secs(2);

/// How long a token that names an unknown key waits for its key.
const WAIT: Duration = Duration::from_secs(1);

/// Where the systems that we know keep the certificates that they trust.
const BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// An issuer's keys, kept fresh.
pub(crate) struct Issuer {
    source: Jwks,
    keys: ArcSwapOption<KeySet>,
    read: watch::Sender<u64>,
    wanted: Notify,
    started: Instant,
    /// When reading was last begun, in milliseconds from `started` plus one.
    begun: AtomicU64,
}

impl Issuer {
    pub(crate) fn new(source: Jwks) -> Self {
        Self {
            source,
            keys: ArcSwapOption::empty(),
            read: watch::Sender::new(0),
            wanted: Notify::new(),
            started: Instant::now(),
            begun: AtomicU64::new(0),
        }
    }

    pub(crate) fn source(&self) -> &Jwks {
        &self.source
    }

    /// The keys, once they were read.
    pub(crate) fn keys(&self) -> Option<Arc<KeySet>> {
        self.keys.load_full()
    }

    /// Has the keys read again, unless they were just now, and waits for it a
    /// little. Whether they are others than those of this generation.
    pub(crate) async fn renewed(&self, generation: u64) -> bool {
        let mut read = self.read.subscribe();
        if *read.borrow_and_update() != generation {
            return true;
        }
        let since = self
            .elapsed()
            .saturating_sub(self.begun.load(Ordering::Relaxed));
        if generation != 0 && since < u64::try_from(PAUSE.as_millis()).unwrap_or(u64::MAX) {
            return false;
        }
        self.wanted.notify_one();
        let changed = read.wait_for(|now| *now != generation);
        timeout(WAIT, changed).await.is_ok()
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    /// Keeps the keys fresh, for as long as it is polled.
    pub(crate) async fn keep(&self) {
        loop {
            self.begun.store(self.elapsed(), Ordering::Relaxed);
            let generation = *self.read.borrow() + 1;
            let read = timeout(TIMEOUT, read(&self.source.source)).await;
            let read = read.unwrap_or_else(|_| Err("it took too long".to_owned()));
            let set = read.and_then(|text| {
                KeySet::parse(&text, generation).map_err(|error| error.to_string())
            });
            let pause = match set {
                Ok(set) => {
                    tracing::debug!(keys = set.len(), "issuer's keys read");
                    self.keys.store(Some(Arc::new(set)));
                    self.read.send_replace(generation);
                    self.source.refresh
                }
                Err(error) => {
                    tracing::warn!(%error, "issuer's keys not read");
                    PAUSE.min(self.source.refresh)
                }
            };
            // Never sooner than this, whoever asks.
            let least = PAUSE.min(pause);
            tokio::time::sleep(least).await;
            let _ = timeout(pause.saturating_sub(least), self.wanted.notified()).await;
        }
    }
}

async fn read(source: &JwksSource) -> Result<Bytes, String> {
    match source {
        JwksSource::File(path) => match tokio::fs::read(path).await {
            Ok(text) if text.len() <= SET_BYTES_MAX => Ok(text.into()),
            Ok(_) => Err(format!("`{}` is too large", path.display())),
            Err(error) => Err(format!("`{}` cannot be read: {error}", path.display())),
        },
        JwksSource::Url { url, ca } => {
            let fetched = fetch(url, ca.as_deref()).await;
            fetched.map_err(|why| format!("{url}: {why}"))
        }
    }
}

async fn fetch(url: &Url, ca: Option<&Path>) -> Result<Bytes, String> {
    let host = url.host_str().ok_or("it has no host")?;
    let port = url.port_or_known_default().ok_or("it has no port")?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, port))
        .await
        .map_err(|error| error.to_string())?;
    if url.scheme() != "https" {
        return exchange(url, stream).await;
    }
    let name = ServerName::try_from(bare.to_owned()).map_err(|error| error.to_string())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(authorities(ca)?)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector
        .connect(name, stream)
        .await
        .map_err(|error| error.to_string())?;
    exchange(url, stream).await
}

/// Those that an issuer's certificate is checked by, as they are now.
fn authorities(ca: Option<&Path>) -> Result<rustls::RootCertStore, String> {
    let mut roots = rustls::RootCertStore::empty();
    let (named, system) = (ca.into_iter(), BUNDLES.iter().map(Path::new));
    for bundle in named.chain(system.filter(|_| ca.is_none())) {
        for certificate in CertificateDer::pem_file_iter(bundle)
            .into_iter()
            .flatten()
            .flatten()
        {
            // One that rustls cannot use verifies nothing.
            let _ = roots.add(certificate);
        }
    }
    match ca {
        Some(ca) if roots.is_empty() => Err(format!("`{}` has no certificate", ca.display())),
        _ => Ok(roots),
    }
}

async fn exchange(
    url: &Url,
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
) -> Result<Bytes, String> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let request = Request::get(target)
        .header(header::HOST, authority)
        .header(header::ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answering = async {
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|error| error.to_string())?;
        if answer.status() != StatusCode::OK {
            return Err(format!("it answered {}", answer.status()));
        }
        let body = Limited::new(answer.into_body(), SET_BYTES_MAX)
            .collect()
            .await;
        body.map(http_body_util::Collected::to_bytes)
            .map_err(|error| error.to_string())
    };
    tokio::pin!(answering, connection);
    tokio::select! {
        answer = &mut answering => answer,
        // It ends with its answer, which may be all here.
        _ = &mut connection => answering.await,
    }
}

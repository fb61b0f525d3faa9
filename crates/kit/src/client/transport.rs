//! One request over the wire, with the connections that are kept for more.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};

/// For a connection, over all addresses of a host.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a connection may be idle: less than servers allow (the kit's 20 s,
/// many others' 5 s), for it must be us who give it up.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// Idle connections to one instance.
const IDLE_MAX: usize = 64;

/// Whom we trust: what the system trusts. Read once, it takes a while.
static TLS: LazyLock<ClientConfig> = LazyLock::new(|| {
    let builder = || {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs speaks TLS 1.2 and 1.3")
    };
    match builder().with_native_roots() {
        Ok(builder) => builder.with_no_client_auth(),
        Err(error) => {
            tracing::warn!(%error, "the system trusts no certificates: https cannot be used");
            let nobody = RootCertStore::empty();
            builder()
                .with_root_certificates(nobody)
                .with_no_client_auth()
        }
    }
});

/// Connections to others, shared by all clients of a service.
#[derive(Clone)]
pub struct Transport(legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

/// Why an exchange did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Connecting, sending, reading the head.
    #[error(transparent)]
    Head(#[from] legacy::Error),
    /// Reading the body.
    #[error("its body broke off")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// More than the bound.
    #[error("its body is larger than {0} bytes")]
    TooLarge(usize),
}

/// How far a request came.
#[derive(Debug)]
pub(super) enum Failure {
    /// It never left.
    Unsent(TransportError),
    Sent(TransportError),
}

impl Transport {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(TLS.clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_MAX)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Self(client)
    }

    /// Sends a request once. (The client below sends it again where a
    /// connection from the pool had closed before anything was written.)
    pub(super) async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        response_bytes: usize,
    ) -> Result<(Response<()>, Bytes), Failure> {
        let response = self.0.request(request).await.map_err(|error| {
            if error.is_connect() {
                Failure::Unsent(error.into())
            } else {
                Failure::Sent(error.into())
            }
        })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, response_bytes).collect().await;
        let body = body.map_err(|error| {
            Failure::Sent(if error.is::<LengthLimitError>() {
                TransportError::TooLarge(response_bytes)
            } else {
                TransportError::Body(error)
            })
        })?;
        Ok((Response::from_parts(head, ()), body.to_bytes()))
    }
}

/// Whether a status says that the service failed.
pub(super) fn is_failure(status: StatusCode) -> bool {
    status.is_server_error()
}

/// Whether a status says that another attempt may do better.
pub(super) fn is_transient(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}

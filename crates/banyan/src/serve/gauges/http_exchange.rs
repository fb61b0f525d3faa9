//! One request to somebody outside, within bounds: of one answer, without redirects, its
//! body bounded.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header::CONTENT_LENGTH};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use plan::Secret;
use rustls::{ClientConfig, RootCertStore};
use std::{
    error::Error,
    fmt::Write,
    sync::{Arc, LazyLock},
    time::Duration,
};

/// The longest body that is read.
const BODY_BYTES_MAX: usize = 256 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Asked every some seconds, it is not worth keeping a connection: whoever is behind a
/// balancer is asked anew.
const IDLE_MAX: usize = 0;

/// Whom we trust: what the system trusts.
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
            tracing::warn!(%error, "the system trusts no certificates: no gate can ask by https");
            builder()
                .with_root_certificates(RootCertStore::empty())
                .with_no_client_auth()
        }
    }
});

/// Asks others by HTTP.
pub(super) struct HttpClient(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl HttpClient {
    pub(super) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(TLS.clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(IDLE_MAX)
            .build(connector);
        Self(client)
    }

    /// Sends a request with the plan's headers. The error says why there is no whole
    /// answer, and holds none of them.
    pub(super) async fn exchange(
        &self,
        mut request: Request<Full<Bytes>>,
        headers: &[(String, Secret)],
    ) -> Result<(StatusCode, Bytes), String> {
        for (name, value) in headers {
            let name = name.parse::<HeaderName>();
            let (Ok(name), Ok(mut value)) = (name, HeaderValue::from_bytes(value.expose())) else {
                return Err("a header of the plan cannot be sent".to_owned());
            };
            value.set_sensitive(true);
            request.headers_mut().insert(name, value);
        }
        let response = self.0.request(request).await;
        let response = response.map_err(|error| chain(&error))?;
        let status = response.status();
        let body = body(response).await?;
        Ok((status, body))
    }
}

async fn body(response: Response<Incoming>) -> Result<Bytes, String> {
    let too_large = || format!("the answer is larger than {BODY_BYTES_MAX} bytes");
    let announced = response.headers().get(CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > BODY_BYTES_MAX) {
        return Err(too_large());
    }
    let body = Limited::new(response.into_body(), BODY_BYTES_MAX);
    let body = body.collect().await.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            too_large()
        } else {
            format!("the answer broke off: {error}")
        }
    })?;
    Ok(body.to_bytes())
}

/// An error with what it comes from.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    text
}

/// The beginning of a body, for people.
pub(super) fn head(body: &[u8]) -> String {
    const SHOWN_BYTES: usize = 200;
    let shown = &body[..body.len().min(SHOWN_BYTES)];
    String::from_utf8_lossy(shown).trim().to_owned()
}

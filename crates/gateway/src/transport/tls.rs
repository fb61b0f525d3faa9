//! TLS towards clients. What is in the files is read whole, at start and at
//! a reload; connections that are there keep what they began with.

use super::{expiry::Expiry, socket::Wire};
use crate::base::error::TlsError;
use plan::{Certificate, ClientCertificates};
use rustls::pki_types::pem::PemObject;
use rustls::{
    RootCertStore, ServerConfig,
    client::verify_server_name,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    server::{
        ClientHello, NoClientAuth, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier,
        danger::ClientCertVerifier,
    },
    sign::CertifiedKey,
};
use std::{io, path::Path, sync::Arc};
use tokio_rustls::TlsAcceptor;

/// What clients may choose from, the best first.
const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// How a listener speaks TLS.
pub(crate) struct Tls {
    config: Arc<ServerConfig>,
    expiries: Vec<Expiry>,
}

impl Tls {
    /// Reads the files.
    pub(crate) fn new(files: &plan::Tls) -> Result<Self, TlsError> {
        let (config, expiries) = read(files)?;
        Ok(Self {
            config: Arc::new(config),
            expiries,
        })
    }

    /// When its certificates expire.
    pub(crate) fn expiries(&self) -> &[Expiry] {
        &self.expiries
    }

    /// Shakes hands, for as long as it takes. Says whether HTTP/2 was chosen.
    pub(crate) async fn accept(&self, wire: Wire) -> io::Result<(Wire, bool)> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.config));
        let stream = acceptor.accept(wire).await?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
        Ok((Wire::from(Box::new(stream)), is_http2))
    }
}

fn read(files: &plan::Tls) -> Result<(ServerConfig, Vec<Expiry>), TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let unusable = |error: rustls::Error| TlsError::Config(error.to_string());
    let (mut keys, mut expiries) = (Vec::new(), Vec::new());
    for pair in &files.certificates {
        let key = certified(pair, &provider)?;
        expiries.extend(Expiry::of(pair.certificate.clone(), &key.cert));
        keys.push(Arc::new(key));
    }
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_client_cert_verifier(verifier(&files.clients, provider)?)
        .with_cert_resolver(Arc::new(ByName(keys)));
    config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(unusable)?;
    Ok((config, expiries))
}

fn certified(pair: &Certificate, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(&pair.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&pair.key).map_err(|error| TlsError::File {
        path: pair.key.clone(),
        wanted: "a private key",
        why: error.to_string(),
    })?;
    CertifiedKey::from_der(chain, key, provider).map_err(|source| TlsError::Pair {
        certificate: pair.certificate.clone(),
        key: pair.key.clone(),
        source,
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |why: String| TlsError::File {
        path: path.to_owned(),
        wanted: "certificates",
        why,
    };
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() {
        return Err(wrong("it has no certificate".to_owned()));
    }
    Ok(found)
}

fn verifier(
    clients: &ClientCertificates,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let (path, is_optional) = match clients {
        ClientCertificates::None => return Ok(Arc::new(NoClientAuth)),
        ClientCertificates::Optional(path) => (path, true),
        ClientCertificates::Required(path) => (path, false),
    };
    let wrong = |why: String| TlsError::File {
        path: path.clone(),
        wanted: "the authorities of clients",
        why,
    };
    let mut roots = RootCertStore::empty();
    for authority in certificates(path)? {
        roots
            .add(authority)
            .map_err(|error| wrong(error.to_string()))?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    if is_optional {
        builder = builder.allow_unauthenticated();
    }
    builder
        .build()
        .map(|verifier| verifier as Arc<dyn ClientCertVerifier>)
        .map_err(|error| wrong(error.to_string()))
}

/// Certificates by the name that a client asks for; the first one for all
/// others.
#[derive(Debug)]
struct ByName(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let first = self.0.first()?;
        let asked = hello
            .server_name()
            .and_then(|name| ServerName::try_from(name).ok());
        let (Some(name), 2..) = (asked, self.0.len()) else {
            return Some(Arc::clone(first));
        };
        let is_for = |key: &&Arc<CertifiedKey>| {
            key.cert
                .first()
                .and_then(|certificate| ParsedCertificate::try_from(certificate).ok())
                .is_some_and(|certificate| verify_server_name(&certificate, &name).is_ok())
        };
        Some(Arc::clone(self.0.iter().find(is_for).unwrap_or(first)))
    }
}

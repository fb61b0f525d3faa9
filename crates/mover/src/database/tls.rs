//! TLS to a database, as `sslmode` and its companions say it.
//!
//! One configuration for every connection of ours: sessions, COPY, cancel
//! requests and replication. Files are read at each connection, so that a
//! renewed certificate counts from the next one on.

mod end_point;
mod verifier;

pub(super) use end_point::end_point;

use super::connect_error::ConnectError;
use plan::{ConnectionParameters, Roots, SslMode};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use std::sync::{Arc, OnceLock};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use verifier::{Demand, ServerVerifier};

/// Speaks TLS with a host over a connection whose server is ready to.
pub(super) async fn connect(
    tcp: TcpStream,
    host: &str,
    parameters: &ConnectionParameters,
) -> Result<TlsStream<TcpStream>, ConnectError> {
    let config = configuration(parameters)?;
    let name = ServerName::try_from(host.to_owned()).map_err(|_| {
        ConnectError::Tls("the address's host is no name that TLS can ask for".into())
    })?;
    TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
        .map_err(ConnectError::from_io)
}

fn configuration(parameters: &ConnectionParameters) -> Result<ClientConfig, ConnectError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(verifier(parameters, &provider)?);
    let tls = |error: rustls::Error| ConnectError::Tls(error.to_string());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(tls)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let Some(files) = &parameters.client_certificate else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates("sslcert", &files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| unusable("sslkey", &files.key, &error))?;
    builder.with_client_auth_cert(chain, key).map_err(|error| {
        ConnectError::File(format!(
            "sslkey {} does not fit sslcert {}: {error}",
            files.key, files.certificate
        ))
    })
}

fn verifier(
    parameters: &ConnectionParameters,
    provider: &Arc<CryptoProvider>,
) -> Result<ServerVerifier, ConnectError> {
    let (roots, given) = match &parameters.roots {
        None => return Ok(ServerVerifier::believing(provider)),
        Some(Roots::System) => (system_roots()?, Vec::new()),
        Some(Roots::File(file)) => {
            let given = certificates("sslrootcert", file)?;
            let mut roots = RootCertStore::empty();
            if roots.add_parsable_certificates(given.iter().cloned()).0 == 0 {
                return Err(ConnectError::File(format!(
                    "sslrootcert {file} has no certificate that can be a root"
                )));
            }
            (Arc::new(roots), given)
        }
    };
    let demand = if parameters.sslmode == SslMode::VerifyFull {
        Demand::AuthorityAndName
    } else {
        Demand::Authority
    };
    ServerVerifier::demanding(demand, roots, given, provider)
        .map_err(|error| ConnectError::Tls(error.to_string()))
}

/// The machine's own, read once: there are some hundred of them.
fn system_roots() -> Result<Arc<RootCertStore>, ConnectError> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(Arc::clone(roots));
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    if roots.add_parsable_certificates(found.certs).0 == 0 {
        return Err(ConnectError::File(
            "sslrootcert=system: this machine has no root certificates (package ca-certificates)"
                .to_owned(),
        ));
    }
    Ok(Arc::clone(ROOTS.get_or_init(|| Arc::new(roots))))
}

fn certificates(parameter: &str, file: &str) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let found: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(parameter, file, &error))?;
    if found.is_empty() {
        return Err(ConnectError::File(format!(
            "{parameter} {file} has no certificate in it"
        )));
    }
    Ok(found)
}

fn unusable(parameter: &str, file: &str, error: &rustls::pki_types::pem::Error) -> ConnectError {
    ConnectError::File(format!("{parameter} {file} cannot be read: {error}"))
}

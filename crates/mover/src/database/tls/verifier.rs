//! What a server's certificate has to prove.

use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{ParsedCertificate, VerifierBuilderError},
};
use std::sync::Arc;
use x509_parser::{
    prelude::{FromDer, X509Certificate},
    time::ASN1Time,
};

/// What is demanded besides the key that belongs to the certificate, which is
/// always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    Authority,
    AuthorityAndName,
}

/// Verifies as `sslmode` says.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    provider: Arc<CryptoProvider>,
    /// None: whoever answers is believed.
    authority: Option<Authority>,
}

#[derive(Debug)]
struct Authority {
    demand: Demand,
    chains: Arc<WebPkiServerVerifier>,
    /// The roots as they were given.
    given: Vec<CertificateDer<'static>>,
}

impl ServerVerifier {
    /// Believes whoever answers.
    pub(super) fn believing(provider: &Arc<CryptoProvider>) -> Self {
        Self {
            provider: Arc::clone(provider),
            authority: None,
        }
    }

    /// Demands a certificate that leads to a root.
    pub(super) fn demanding(
        demand: Demand,
        roots: Arc<RootCertStore>,
        given: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, VerifierBuilderError> {
        let chains =
            WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build()?;
        Ok(Self {
            provider: Arc::clone(provider),
            authority: Some(Authority {
                demand,
                chains,
                given,
            }),
        })
    }
}

impl Authority {
    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<(), Error> {
        let verified = self
            .chains
            .verify_server_cert(certificate, between, name, ocsp, now);
        match verified {
            Ok(_) => Ok(()),
            // The name is looked at last, once the rest is right.
            Err(Error::InvalidCertificate(problem)) if is_name(&problem) => match self.demand {
                Demand::Authority => Ok(()),
                Demand::AuthorityAndName => Err(Error::InvalidCertificate(problem)),
            },
            Err(Error::InvalidCertificate(problem)) if is_time(&problem) => {
                Err(Error::InvalidCertificate(problem))
            }
            // A server whose certificate is its own authority, as `openssl req
            // -x509` makes them: no chain, but the very certificate that the
            // operator has given is as good as one.
            Err(_) if self.given.contains(certificate) => self.verify_given(certificate, name, now),
            Err(error) => Err(error),
        }
    }

    fn verify_given(
        &self,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let encoding = Error::InvalidCertificate(CertificateError::BadEncoding);
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| encoding.clone())?;
        let now = i64::try_from(now.as_secs())
            .ok()
            .and_then(|seconds| ASN1Time::from_timestamp(seconds).ok())
            .ok_or(encoding)?;
        let validity = parsed.validity();
        if now > validity.not_after {
            return Err(Error::InvalidCertificate(CertificateError::Expired));
        }
        if now < validity.not_before {
            return Err(Error::InvalidCertificate(CertificateError::NotValidYet));
        }
        match self.demand {
            Demand::Authority => Ok(()),
            Demand::AuthorityAndName => {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)
            }
        }
    }
}

fn is_name(problem: &CertificateError) -> bool {
    matches!(
        problem,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
    )
}

fn is_time(problem: &CertificateError) -> bool {
    matches!(
        problem,
        CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
    )
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(authority) = &self.authority {
            authority.verify(certificate, between, name, ocsp, now)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

//! The `tls-server-end-point` channel binding (RFC 5929, section 4): a hash of
//! the server's certificate, with the hash function that its signature uses.

use aws_lc_rs::digest::{self, Algorithm, SHA256, SHA384, SHA512};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Signatures by object identifier. MD5 and SHA-1 are replaced by SHA-256, as
/// the RFC says.
const SIGNATURES: &[(&str, &Algorithm)] = &[
    ("1.2.840.113549.1.1.4", &SHA256),  // RSA with MD5
    ("1.2.840.113549.1.1.5", &SHA256),  // RSA with SHA-1
    ("1.2.840.10045.4.1", &SHA256),     // ECDSA with SHA-1
    ("1.2.840.113549.1.1.11", &SHA256), // RSA with SHA-256
    ("1.2.840.10045.4.3.2", &SHA256),   // ECDSA with SHA-256
    ("1.2.840.113549.1.1.12", &SHA384), // RSA with SHA-384
    ("1.2.840.10045.4.3.3", &SHA384),   // ECDSA with SHA-384
    ("1.2.840.113549.1.1.13", &SHA512), // RSA with SHA-512
    ("1.2.840.10045.4.3.4", &SHA512),   // ECDSA with SHA-512
];

/// The binding of a certificate, in DER; none where the RFC defines none, as
/// for Ed25519.
pub(crate) fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let signature = parsed.signature_algorithm.algorithm.to_id_string();
    let (_, hash) = SIGNATURES.iter().find(|(known, _)| *known == signature)?;
    Some(digest::digest(hash, certificate).as_ref().to_vec())
}

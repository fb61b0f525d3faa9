//! Processor time per TLS handshake, whole and resumed, with one request each.

use super::{conversation::request, machine::processor_micros, peers::Peer};
use anyhow::{Context, Result, bail};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, Stream,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use testbed::certificates::Authority;

/// The name that servers have a certificate for.
const NAME: &str = "localhost";

/// Of a hundred connections so many must be what they are measured as.
const SHARE_MIN: f64 = 0.95;

/// Whether a connection begins anew, or where one before it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Full,
    Resumed,
}

/// A client that trusts the servers here.
pub(super) struct Client {
    roots: Arc<RootCertStore>,
}

impl Client {
    /// Makes an authority, and writes what all proxies have: certificate and key in one
    /// file.
    pub(super) fn new(directory: &Path) -> Result<Self> {
        let authority = Authority::new()?;
        let identity = authority.server(&[NAME])?;
        let both = format!("{}{}", identity.certificate, identity.key);
        fs::write(directory.join("server.pem"), both)?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(
            authority.certificate().as_bytes(),
        )?)?;
        let roots = Arc::new(roots);
        Ok(Self { roots })
    }

    /// Microseconds of processor time per handshake and request, one after the other.
    pub(super) fn measure(&self, peer: &Peer, kind: Kind, seconds: u32) -> Result<f64> {
        let config = self.config(kind)?;
        // The first one has nothing to resume.
        converse(peer, &config)?;
        let before = processor_micros(peer.pid())?;
        let end = Instant::now() + Duration::from_secs(u64::from(seconds));
        let (mut count, mut as_wanted) = (0.0, 0.0);
        while Instant::now() < end {
            let found =
                converse(peer, &config).with_context(|| format!("TLS with {}", peer.name()))?;
            count += 1.0;
            as_wanted += f64::from(u8::from(found == kind));
        }
        let after = processor_micros(peer.pid())?;
        if as_wanted / count < SHARE_MIN {
            bail!(
                "{}: {as_wanted} of {count} handshakes were {kind:?}",
                peer.name()
            );
        }
        Ok((after - before) / count)
    }

    fn config(&self, kind: Kind) -> Result<Arc<ClientConfig>> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(Arc::clone(&self.roots))
            .with_no_client_auth();
        if kind == Kind::Full {
            config.resumption = Resumption::disabled();
        }
        Ok(Arc::new(config))
    }
}

/// One connection with one request; what its handshake was.
fn converse(peer: &Peer, config: &Arc<ClientConfig>) -> Result<Kind> {
    let name = ServerName::try_from(NAME)?;
    let mut session = ClientConnection::new(Arc::clone(config), name)?;
    let mut socket = TcpStream::connect(peer.tls_address())?;
    socket.set_nodelay(true)?;
    let mut stream = Stream::new(&mut session, &mut socket);
    let request = request(0).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        // Some close without saying so.
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => return Err(error.into()),
        _ => {}
    }
    if !answer.starts_with(b"HTTP/1.1 200") {
        bail!("not answered 200: {}", String::from_utf8_lossy(&answer));
    }
    match session.handshake_kind() {
        Some(HandshakeKind::Resumed) => Ok(Kind::Resumed),
        Some(_) => Ok(Kind::Full),
        None => bail!("there was no handshake"),
    }
}

//! Where the gateway listens, besides `gateway.listen`, and how.

use crate::base::{Environment, Located, PlanError, Position, Text, parse, plain};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{fmt, net::SocketAddr, path::PathBuf};

/// The most listeners, and the most certificates of one.
const LISTENERS_MAX: usize = 64;

/// One more place to listen at.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ListenerFile {
    /// `address:port`, or `unix:/path` for a Unix socket.
    pub(crate) listen: Text,
    /// Speak TLS there; plain when left out.
    #[serde(default)]
    pub(crate) tls: Option<TlsFile>,
    /// Each connection begins with a header of the PROXY protocol (v1 or v2)
    /// that names the client; connections without one are closed.
    #[serde(default)]
    pub(crate) proxy_protocol: bool,
    /// Permissions of a Unix socket, in octal; who may write to it may connect. 0660 when
    /// left out: its owner and group.
    #[serde(default)]
    pub(crate) mode: Option<Text>,
}

/// How TLS is spoken.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TlsFile {
    /// File with the certificate and those between it and its authority (PEM).
    pub(crate) certificate: Text,
    /// File with its private key (PEM).
    pub(crate) key: Text,
    /// Certificates for other names; the first one is for clients that ask for
    /// none of them.
    #[serde(default)]
    pub(crate) more: Vec<CertificateFile>,
    /// File with the authorities (PEM) whose certificates clients show.
    #[serde(default)]
    pub(crate) client_ca: Option<Text>,
    /// `required` (default) or `optional`; with `client-ca` only.
    #[serde(default)]
    pub(crate) client_certificate: Option<Located<DemandFile>>,
}

/// A certificate for other names.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateFile {
    /// File with the certificate chain (PEM).
    pub(crate) certificate: Text,
    /// File with its private key (PEM).
    pub(crate) key: Text,
}

/// Whether clients must show a certificate.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DemandFile {
    /// Clients without one are refused.
    Required,
    /// Clients may have one; if so, it must be good.
    Optional,
}

/// A place to listen at, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub address: ListenAddress,
    /// How TLS is spoken there; plain without.
    pub tls: Option<Tls>,
    /// Whether connections begin with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    /// Permissions, of a Unix socket.
    pub mode: u32,
}

/// Its owner, and its group, which is the operator's choice, may connect.
const MODE: u32 = 0o660;

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// TCP.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// How TLS is spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// By the name that a client asks for; the first one for all others. There
    /// is at least one.
    pub certificates: Vec<Certificate>,
    /// Whether clients show certificates.
    pub clients: ClientCertificates,
}

/// The files of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The chain.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Whether clients show certificates; with the file of the authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are not asked for one.
    None,
    /// They may.
    Optional(PathBuf),
    /// They must.
    Required(PathBuf),
}

impl Listener {
    /// Plain HTTP on this address.
    pub fn plain(address: SocketAddr) -> Self {
        Self {
            address: ListenAddress::Tcp(address),
            tls: None,
            proxy_protocol: false,
            mode: MODE,
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl ListenAddress {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` is nowhere to listen: write 0.0.0.0:8443 or unix:/run/banyan.sock")
        };
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(_) => Err(wrong()),
            None => text.parse().map(Self::Tcp).map_err(|_| wrong()),
        }
    }
}

/// Checks the listeners. `main` is the address of `gateway.listen`.
pub(crate) fn resolve(
    files: Vec<ListenerFile>,
    main: SocketAddr,
    environment: Environment<'_>,
) -> Result<Vec<Listener>, PlanError> {
    let mut listeners: Vec<Listener> = Vec::new();
    for file in files {
        let at = file.listen.at;
        let address = parse(&file.listen, environment, ListenAddress::parse)?;
        let twice = address == ListenAddress::Tcp(main)
            || listeners.iter().any(|other| other.address == address);
        if twice && !matches!(&address, ListenAddress::Tcp(tcp) if tcp.port() == 0) {
            return Err(
                PlanError::at(at, format!("`{address}` is listened on twice"))
                    .remedy("Leave it in `gateway.listen` or in one of `gateway.listeners`"),
            );
        }
        if listeners.len() == LISTENERS_MAX {
            return Err(PlanError::at(
                at,
                format!("there are more than {LISTENERS_MAX} listeners"),
            ));
        }
        let mode = match (&file.mode, &address) {
            (None, _) => MODE,
            (Some(text), ListenAddress::Unix(_)) => parse(text, environment, permissions)?,
            (Some(text), ListenAddress::Tcp(_)) => {
                return Err(PlanError::at(text.at, "`mode` is for Unix sockets")
                    .remedy("Leave it out where `listen` is an address and a port"));
            }
        };
        listeners.push(Listener {
            mode,
            address,
            tls: file
                .tls
                .map(|tls| resolve_tls(&tls, at, environment))
                .transpose()?,
            proxy_protocol: file.proxy_protocol,
        });
    }
    Ok(listeners)
}

/// Of a file, in octal.
fn permissions(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok();
    mode.filter(|mode| text.starts_with('0') && *mode <= 0o777)
        .ok_or_else(|| format!("`{text}` is no mode: write \"0660\", in octal"))
}

fn resolve_tls(
    file: &TlsFile,
    at: Position,
    environment: Environment<'_>,
) -> Result<Tls, PlanError> {
    let path = |text: &Text| plain(text, environment).map(PathBuf::from);
    let mut certificates = vec![Certificate {
        certificate: path(&file.certificate)?,
        key: path(&file.key)?,
    }];
    for more in &file.more {
        certificates.push(Certificate {
            certificate: path(&more.certificate)?,
            key: path(&more.key)?,
        });
    }
    if certificates.len() > LISTENERS_MAX {
        return Err(PlanError::at(
            at,
            format!("a listener has at most {LISTENERS_MAX} certificates"),
        ));
    }
    let clients = match (&file.client_ca, &file.client_certificate) {
        (None, None) => ClientCertificates::None,
        (None, Some(demand)) => {
            return Err(
                PlanError::at(demand.at, "`client-certificate` has no `client-ca`")
                    .remedy("Name the file with the authorities in `client-ca`"),
            );
        }
        (Some(ca), demand) => match demand.as_ref().map(|demand| demand.value) {
            None | Some(DemandFile::Required) => ClientCertificates::Required(path(ca)?),
            Some(DemandFile::Optional) => ClientCertificates::Optional(path(ca)?),
        },
    };
    Ok(Tls {
        certificates,
        clients,
    })
}

//! Why a gateway did not start, or goes on by its old plan.

use plan::ListenAddress;
use std::{io, path::PathBuf};

/// Why a gateway did not start. Nothing is left behind: no port, no thread.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody listens there already.
    #[error(
        "the gateway cannot listen on {address}: the address is in use. \
         If a `banyan serve` has it, take over from it (`banyan serve --take-over`): stopping it \
         stops all traffic. Else stop what listens there, or change `gateway.listen` or `gateway.listeners` in the plan"
    )]
    AddressInUse {
        /// The address of the plan.
        address: ListenAddress,
    },
    /// The address cannot be listened on for another reason.
    #[error(
        "the gateway cannot listen on {address}: {source}. \
         Write an address of this machine, or a path that can be made, into `gateway.listen` or \
         `gateway.listeners` in the plan"
    )]
    Listen {
        /// The address of the plan.
        address: ListenAddress,
        /// What the operating system said.
        source: io::Error,
    },
    /// A listener cannot speak TLS.
    #[error("the gateway cannot speak TLS on {address}: {source}")]
    Tls {
        /// The address of the plan.
        address: ListenAddress,
        /// What is wrong, and what to do.
        source: Box<TlsError>,
    },
    /// A key of the plan cannot be used.
    #[error(
        "a token key of consumer `{consumer}` cannot be used: {why}. \
         Write a public key in PEM that fits its algorithm"
    )]
    Key {
        /// Whose key it is.
        consumer: String,
        /// What is wrong with it.
        why: String,
    },
    /// The access log cannot be opened.
    #[error(
        "the access log {path} cannot be opened: {source}. \
         Write a file that can be made into `gateway.access-log` in the plan"
    )]
    AccessLog {
        /// The file of the plan.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Spans cannot be exported.
    #[error("spans cannot be exported: {why}. Change `gateway.tracing` in the plan")]
    Tracing {
        /// What is wrong.
        why: String,
    },
    /// A worker could not be started.
    #[error(
        "the gateway cannot start a worker: {source}. Raise the limits on threads and open files"
    )]
    Worker {
        /// What the operating system said.
        source: io::Error,
    },
}

/// Why a gateway goes on by its old plan: all of it.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// What has changed is more than a running process can take.
    #[error(
        "the plan cannot be reloaded: {} changed. Change it back, or take over with \
         the new plan: `banyan serve --take-over`",
        .changes.join(", ")
    )]
    Restart {
        /// The keys of the plan.
        changes: Vec<String>,
    },
    /// A gateway with this plan would not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It is stopping.
    #[error("the gateway is stopping, it reloads nothing any more")]
    Stopping,
}

impl StartError {
    pub(crate) fn listening(address: &ListenAddress, source: io::Error) -> Self {
        let address = address.clone();
        if source.kind() == io::ErrorKind::AddrInUse {
            Self::AddressInUse { address }
        } else {
            Self::Listen { address, source }
        }
    }
}

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error(
        "{path} cannot be used: {why}. Name a readable PEM file with {wanted} in `gateway.listeners`"
    )]
    File {
        /// The file of the plan.
        path: PathBuf,
        /// What should be in it.
        wanted: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A key is not that of its certificate, or of an unknown kind.
    #[error(
        "{key} does not belong to {certificate}: {source}. Name the key that the certificate was made for"
    )]
    Pair {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What rustls said.
        source: rustls::Error,
    },
    /// Something that the files do not explain.
    #[error("TLS cannot be set up: {0}")]
    Config(String),
}

//! Why a gateway did not start.

use std::{io, net::SocketAddr};

/// Why a gateway did not start. Nothing is left behind: no port, no thread.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody listens there already.
    #[error(
        "the gateway cannot listen on {address}: the address is in use. \
         Stop what listens there, or change `gateway.listen` in the plan"
    )]
    AddressInUse {
        /// The address of the plan.
        address: SocketAddr,
    },
    /// The address cannot be listened on for another reason.
    #[error(
        "the gateway cannot listen on {address}: {source}. \
         Write an address of this machine into `gateway.listen` in the plan"
    )]
    Listen {
        /// The address of the plan.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
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

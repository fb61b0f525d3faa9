//! The client at the other end of a connection.

use http::HeaderValue;
use std::{cell::Cell, net::IpAddr};

/// How the last part of the way to the gateway was protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Plain,
    Tls,
}

/// What all requests of a client's connection share.
pub(crate) struct Peer {
    /// The client's own, also behind a proxy that says it by the PROXY
    /// protocol; none for a Unix socket.
    pub(crate) address: Option<IpAddr>,
    /// The address as `X-Forwarded-For` has it.
    pub(crate) forwarded_for: HeaderValue,
    pub(crate) scheme: Scheme,
    /// Its requests in flight.
    pub(crate) running: Cell<u32>,
}

impl Peer {
    pub(crate) fn new(address: Option<IpAddr>, scheme: Scheme) -> Self {
        let address = address.map(|address| address.to_canonical());
        let unknown = HeaderValue::from_static("unknown");
        let forwarded_for = match address {
            Some(address) => HeaderValue::try_from(address.to_string()).unwrap_or(unknown),
            None => unknown,
        };
        Self {
            address,
            forwarded_for,
            scheme,
            running: Cell::new(0),
        }
    }

    /// The address as text, where there is one.
    pub(crate) fn address_text(&self) -> Option<&[u8]> {
        self.address.map(|_| self.forwarded_for.as_bytes())
    }
}

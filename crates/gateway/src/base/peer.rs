//! The client at the other end of a connection.

use http::HeaderValue;
use std::{
    cell::Cell,
    net::{IpAddr, Ipv4Addr},
};

/// How the last part of the way to the gateway was protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Plain,
    Tls,
}

/// What all requests of a client's connection share.
pub(crate) struct Peer {
    /// The client's own, also behind a proxy that says it by the PROXY
    /// protocol. Who comes over a Unix socket is a process of this machine, and has
    /// that of the loopback.
    pub(crate) address: IpAddr,
    /// The address as `X-Forwarded-For` has it.
    pub(crate) forwarded_for: HeaderValue,
    pub(crate) scheme: Scheme,
    /// Its requests in flight.
    pub(crate) running: Cell<u32>,
}

impl Peer {
    /// `None`: it has come over a Unix socket.
    pub(crate) fn new(address: Option<IpAddr>, scheme: Scheme) -> Self {
        let address = address.map_or(Ipv4Addr::LOCALHOST.into(), |it| it.to_canonical());
        // Digits, letters, points and colons: always a value.
        let forwarded_for = HeaderValue::try_from(address.to_string())
            .unwrap_or(HeaderValue::from_static("unknown"));
        Self {
            address,
            forwarded_for,
            scheme,
            running: Cell::new(0),
        }
    }
}

//! Addresses of networks and sockets.

use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// `10.0.0.0/8`, or one address.
pub(crate) fn address_block(text: &str) -> Result<IpNet, String> {
    let block = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    block
        .map(|block| block.trunc())
        .map_err(|_| format!("`{text}` is no address block: write 10.0.0.0/8 or 10.1.2.3"))
}

/// `127.0.0.1:8000`.
pub(crate) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is no address: write 127.0.0.1:8000"))
}

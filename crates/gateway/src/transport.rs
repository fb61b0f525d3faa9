//! Sockets, what is spoken on them before HTTP, and HTTP/1 as clients speak it.

pub(crate) mod expiry;
pub(crate) mod http1;
pub(crate) mod listeners;
pub(crate) mod proxy_protocol;
pub(crate) mod socket;
pub(crate) mod stall;
pub(crate) mod tls;

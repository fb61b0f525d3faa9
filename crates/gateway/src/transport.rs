//! Sockets, and what is spoken on them before HTTP.

pub(crate) mod expiry;
pub(crate) mod http1_validator;
pub(crate) mod listeners;
pub(crate) mod proxy_protocol;
pub(crate) mod socket;
pub(crate) mod tls;

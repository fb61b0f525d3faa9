//! The gateway's handle, its workers, and the clients' connections.

pub(crate) mod connections;
pub(crate) mod entrances;
pub(crate) mod explain;
pub(crate) mod gateway;
pub(crate) mod http1;
pub(crate) mod http2;
pub(crate) mod preflight;
pub mod socket_handoff;
pub(crate) mod worker;

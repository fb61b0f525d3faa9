//! The gateway against real upstreams over real sockets.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

mod chaos;
mod degraded;
mod fallback;
mod grpc;
mod handover;
mod hold;
mod http2;
mod hygiene;
mod listeners;
mod own_writes;
mod pins;
mod places;
mod routing;
mod streaming;
mod stress;
mod support;
mod upgrade;
mod upstreams;

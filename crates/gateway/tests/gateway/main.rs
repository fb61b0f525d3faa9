//! The gateway against real upstreams over real sockets.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

mod chaos;
mod degraded;
mod fallback;
mod hold;
mod hygiene;
mod own_writes;
mod pins;
mod places;
mod routing;
mod stress;
mod support;
mod upstreams;

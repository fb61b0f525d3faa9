//! The gateway against real upstreams over real sockets.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

mod access;
mod answers;
mod app_servers;
mod as_written;
mod buffering;
mod canary;
mod certificates;
mod chaos;
mod checks;
mod claims;
mod credentials;
mod degraded;
mod fallback;
mod flags;
mod given_up;
mod grpc;
mod header_sanitation;
mod hold;
mod http2;
mod issuer;
mod kong;
mod limits;
mod listeners;
mod memory;
mod observe;
mod old_ways;
mod operations;
mod own_connections;
mod own_writes;
mod pages;
mod pins;
mod places;
mod raw;
mod redis;
mod reload;
mod request_trailers;
mod routing;
mod shadow;
mod shapes;
mod shared_data;
mod side_counts;
mod slow_clients;
mod smuggling;
mod socket_handoff;
mod spellings;
mod streaming;
mod stress;
mod support;
mod timeouts;
mod tokens;
mod upgrade;
mod upstreams;
mod way;

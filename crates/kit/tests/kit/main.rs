//! The kit over real sockets.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

mod client;
mod guard;
mod health;
mod issuer;
mod observe;
mod openapi;
mod registry;
mod reports;
mod server;
mod support;

//! The kit over real sockets.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

mod auth;
mod client;
mod health;
mod issuer;
mod observe;
mod openapi;
mod registry;
mod reports;
mod server;
mod support;

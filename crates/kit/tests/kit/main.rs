//! The kit over real sockets.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

mod guard;
mod health;
mod observe;
mod server;
mod support;

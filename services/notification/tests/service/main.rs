//! The service as a process, with a real PostgreSQL, a real mail server and
//! real WebSockets.
#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

mod bad_input;
mod client;
mod mail;
mod notifying;
mod push;
mod scene;
mod schema;
mod webhook;

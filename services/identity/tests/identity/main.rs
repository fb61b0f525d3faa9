//! The service against real parts: Django's hashers, PostgreSQL, sockets.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

mod accounts;
mod bounds;
mod django;
mod issuers;
mod letters;
mod logins;
mod outage;
mod scene;
mod schema;
mod seeds;
mod tokens;

//! The service as processes, several of them on one real PostgreSQL, with real
//! external services.
#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

mod bad_input;
mod external;
mod kit_client;
mod outage;
mod panels;
mod scene;
mod schema;
mod services;
mod upstream;
mod watch;
mod watcher;

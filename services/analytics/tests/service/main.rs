//! The service as a process, with a real PostgreSQL.
#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

mod bad_input;
mod dashboards;
mod outage;
mod reporting;
mod retention;
mod rollups;
mod scene;
mod schema;

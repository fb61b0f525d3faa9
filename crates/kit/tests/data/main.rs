//! The kit's data side on a real PostgreSQL, with processes that are killed.
#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

mod idempotency;
mod jetstream;
mod ledger;
mod migration;
mod outbox;
mod saga;
mod scene;

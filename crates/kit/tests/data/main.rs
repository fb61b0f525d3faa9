//! The kit's data side on a real PostgreSQL, with processes that are killed.

mod idempotency;
mod ledger;
mod migration;
mod outbox;
mod saga;
mod scene;

//! The kit: what the author of a service gets in ten lines of `main`.
//!
//! Settings from the environment, a server with health, metrics, traces and
//! orderly ends, authentication of callers, a client that survives the others'
//! failures, and data that survives our own.
//!
//! # A whole service
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use kit::{Fault, Identity, Kit, Program, Service};
//!
//! kit::settings! {
//!     /// What the greeter reads beside what every service reads.
//!     struct Settings {
//!         /// Whom to greet
//!         whom: String = "GREETER_WHOM" or "world",
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     let identity = Identity::new("greeter", env!("CARGO_PKG_VERSION"), 8110);
//!     Program::new(identity, "Greets.").run(assemble)
//! }
//!
//! async fn assemble(_kit: Kit, settings: Settings) -> Result<Service, Fault> {
//!     let greeting = format!("Hello, {}!", settings.whom);
//!     let greet = get(move || std::future::ready(greeting.clone()));
//!     Ok(Service::new(Router::new().route("/greeting", greet)))
//! }
//! ```
//!
//! It answers `/health`, `/health/live`, `/health/ready` and `/metrics`, ends
//! in order on SIGTERM, and lists what it reads with `--settings`.
//!
//! It is not for the gateway, the mover or the conductor, and knows none of
//! them: a service does not know that it is being migrated.
//!
//! # Floors
//!
//! A module uses those on floors below its own, and those on its own floor that
//! do not use it (held by `xtask/tests/house`).
//!
//! ```text
//! 9  program                                          the command line of a service
//! 8  server                                           accepts, authenticates, stops in order
//! 7  saga         retention
//! 6  outbox       registry     reports                tasks beside requests
//! 5  service      acl                                 what an author puts together
//! 4  client       idempotency  ledger
//! 3  auth  database  extract  openapi  outside  spans
//! 2  problem      batches      health
//! 1  settings     metrics      context   backoff
//! ```
//!
//! # Invariants
//!
//! 1. All settings are read and judged before a port opens or a connection is
//!    made, and every problem is reported at once.
//! 2. Every answer that is a failure is `application/problem+json` (RFC 9457).
//! 3. Every wait, queue, body and cache has a named bound.
//! 4. Nothing that may have had an effect is repeated by the client, unless it
//!    carries an idempotency key.
//! 5. No secret, body or row value is logged; secrets compare in constant time.
//! 6. Nothing from outside panics the process or becomes a metric's label.

pub mod acl;
pub mod auth;
mod batches;
pub mod client;
pub mod context;
pub mod extract;
mod health;
pub mod metrics;
pub mod openapi;
pub mod outside;
pub mod problem;
mod program;
pub mod registry;
mod reports;
pub mod server;
mod service;
pub mod settings;
mod spans;

pub use auth::{ApiKey, Caller, Peer, User};
pub use client::{Client, ClientError};
pub use extract::{Json, Path, Query};
pub use health::Need;
pub use problem::Problem;
pub use program::Program;
pub use service::{Fault, Kit, Limits, Service, Stopping};
pub use settings::Identity;

// Data.
pub mod backoff;
pub mod database;
pub mod idempotency;
pub mod ledger;
pub mod outbox;
pub mod retention;
pub mod saga;

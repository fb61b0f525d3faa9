//! The analytics service: takes request metrics, resource use and events in
//! batches, rolls them up by minute and by hour, and shows what services did
//! and what they cost.
//!
//! It is not for alerts (Prometheus has `/metrics` of every service) and not for
//! traces.
//!
//! # Invariants
//!
//! 1. A batch that was accepted is stored, whole; one that was refused has left
//!    nothing.
//! 2. Roll-ups are written anew from the rows, never added to: what was rolled
//!    up twice, or late, counts once.
//! 3. A row goes only after it was rolled up.
//!
//! Dependencies point downward: `api` knows everything; `store` the database;
//! `batch`, `histogram`, `range` and `figures` are pure.

mod api;
mod assembly;
mod batch;
mod figures;
mod histogram;
mod range;
mod settings;
mod store;

use std::process::ExitCode;

use kit::Program;

use crate::settings::Settings;

fn main() -> ExitCode {
    Program::new(
        assembly::IDENTITY,
        "Shows what services do: takes metrics and events, rolls them up.",
    )
    .command(
        "migrate",
        "bring the tables up to date and end",
        assembly::migrate_only,
    )
    .run(|kit, settings: Settings| assembly::assemble(kit, settings))
}

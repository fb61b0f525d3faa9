//! The registry: where services find each other, and what is known of external
//! ones: whether they are well, and which reference panels they have.
//!
//! Instances tell it that they are there, and again and again that they still
//! are. External services tell nothing: they are asked, on a schedule.
//!
//! It is not a balancer and passes no request on. It asks no instance of ours
//! whether it is well: heartbeats say so.
//!
//! Dependencies point downward: `api` and `work` know everything; `store` and
//! `hub` know the database; `instance`, `external`, `health`, `panel` and
//! `difference` are pure.
//!
//! # Invariants
//!
//! 1. An instance is forgotten only after somebody could have heard it for as
//!    long as its time to live: neither an outage of the database nor one of
//!    the registry empties it.
//! 2. A change has a number, numbers have no gaps, and a watcher is told every
//!    change once and in order, or everything anew.
//! 3. What comes of a check or a sync is stored by the holder of its lease, in
//!    one transaction, or not at all.
//! 4. An answer that is not a catalogue changes no catalogue.

mod api;
mod assembly;
mod difference;
mod external;
mod gauges;
mod health;
mod hub;
mod instance;
mod panel;
mod settings;
mod store;
mod work;

use std::process::ExitCode;

use kit::Program;

fn main() -> ExitCode {
    Program::new(assembly::IDENTITY, "Where services find each other.")
        .command(
            "migrate",
            "bring the tables up to date and end",
            assembly::migrate_only,
        )
        .run(assembly::assemble)
}

//! Banyan moves a capability out of a live monolith into a service: its
//! traffic and its data together.
//!
//! This crate is the outside: the command line, `serve`, which puts gateway,
//! mover and conductor together, and the adapters between them. It knows
//! everybody, and nobody knows it.
//!
//! ```text
//!  cli                   the command line: verbs, and how they are rendered
//!    │
//!  serve   client        gateway, movers and conductor together; a call of the API
//!    │        │
//!  control   exit        how a running serve is found; how the program ends
//!             │
//!           lines         texts that fit the screen
//! ```
//!
//! A module may use those below it.

mod cli;
mod client;
mod control;
mod exit;
mod lines;
mod serve;

use clap::Parser;
use mimalloc::MiMalloc;
use std::{io::IsTerminal, process::ExitCode};

/// Each request makes and drops some dozens of small things and two buffers.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let to_a_log = arguments.serves() && !std::io::stderr().is_terminal();
    let ended = runtime.block_on(cli::run(arguments));
    // Tasks of ours are stopped by then; those of libraries are not waited for.
    runtime.shutdown_background();
    exit::report(ended, to_a_log)
}

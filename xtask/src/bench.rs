//! `./x bench`: measurements, never tests. Their exit code says whether they
//! could be made, not how fast anything was.

mod conversation;
mod cost;
mod features;
mod gateway;
mod idle;
mod machine;
mod open_loop;
mod peers;
mod report;

use anyhow::Result;

/// What is measured.
#[derive(clap::Subcommand)]
pub(crate) enum Bench {
    /// The gateway beside nginx and haproxy: processor time per request,
    /// memory per idle connection, added latency
    Gateway(gateway::Arguments),
}

/// Runs a bench, or lists them.
pub(crate) fn run(bench: Option<&Bench>) -> Result<()> {
    match bench {
        Some(Bench::Gateway(arguments)) => gateway::run(arguments),
        None => {
            println!("gateway   the gateway beside nginx and haproxy, on one core each: processor");
            println!("          time per request, memory per idle connection, added latency");
            Ok(())
        }
    }
}

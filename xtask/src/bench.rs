//! `./x bench`: measurements, never tests. Their exit code says whether they
//! could be made, not how fast anything was.

mod conversation;
mod cost;
mod download;
mod features;
mod gateway;
mod http2;
mod judge;
mod machine;
mod memory;
mod mover;
mod open_loop;
mod peers;
mod reload;
mod report;
mod services;
mod tls;

use anyhow::Result;

/// What is measured.
#[derive(clap::Subcommand)]
pub(crate) enum Bench {
    /// The gateway beside nginx and haproxy: processor time per request,
    /// memory per client, TLS, HTTP/2, downloads, reloads, added latency
    Gateway(gateway::Arguments),
    /// The services of `./x up`, and contracts: answers per second, latency,
    /// processor time per answer
    Services(services::Arguments),
    /// The mover beside what copies databases today: a first copy with its
    /// indexes, and how fast a backlog of changes drains
    Mover(mover::Arguments),
    /// How often gates roll back what is not worse, and miss what is, over drawn
    /// steps of 24 hours
    Judge(judge::Arguments),
}

/// Runs a bench, or lists them.
pub(crate) fn run(bench: Option<&Bench>) -> Result<()> {
    match bench {
        Some(Bench::Gateway(arguments)) => gateway::run(arguments),
        Some(Bench::Services(arguments)) => services::run(arguments),
        Some(Bench::Mover(arguments)) => mover::run(arguments),
        Some(Bench::Judge(arguments)) => judge::run(arguments),
        None => {
            println!("gateway   the gateway beside nginx and haproxy, on one core each: processor");
            println!(
                "          time per request, memory per client, TLS, HTTP/2, downloads, reloads,"
            );
            println!("          added latency");
            println!("services  what each service takes: answers per second, latency, processor");
            println!("          time per answer");
            println!(
                "mover     a first copy, and how fast a backlog drains, beside pgcopydb, dump and"
            );
            println!("          restore, and a native subscription");
            println!("judge     how often gates roll back what is not worse, and miss what is");
            Ok(())
        }
    }
}

//! `./x bench gateway`: the gateway with its features on, beside nginx and
//! haproxy, which do the same split without them.
//!
//! One core is the proxy's, one the load generator's and the backend's. What is
//! compared is the proxies' processor time per request, not requests per
//! second: those depend on what the load generator leaves of the machine.
//! Every round measures all proxies one after the other, so that a change of
//! the machine's mood meets all of them, and medians over rounds are told.

use super::{
    cost, download, features,
    features::Feature,
    http2, machine, memory,
    open_loop::{self, Schedule},
    peers::{Backend, OURS, OURS_WITH, PROXIES, Peer},
    reload,
    report::{Measure, Report},
    tls::{self, Kind},
};
use crate::cargo;
use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use testbed::{binaries, directory::PrivateDirectory};

/// The rate of the open loop: a tenth of what the slowest proxy manages on a
/// core, so that nobody queues but for the machine's own reasons.
const RATE: u32 = 2_000;
const RATE_CONNECTIONS: u32 = 64;

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Print the figures as JSON, in the last line
    #[arg(long)]
    json: bool,
    /// How often everything is measured
    #[arg(long, value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How long each measurement takes; processor time is told in 10 ms
    #[arg(long, value_name = "S", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Numbers of connections of the load
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_value = "32,256",
          value_parser = clap::value_parser!(u32).range(1..=4_096))]
    connections: Vec<u32>,
    /// Measure the gateway with these as well, and its cost as a multiple of
    /// that without them
    #[arg(long, value_name = "FEATURE,FEATURE", value_delimiter = ',')]
    with: Vec<Feature>,
    /// Measure this program instead of building one; it is started as
    /// `PROGRAM LISTEN MONOLITH SERVICE LINES`, each `address:port`, then
    /// lines for its plan, and reloads at SIGHUP
    #[arg(long, value_name = "PROGRAM")]
    gateway: Option<PathBuf>,
}

/// Builds, measures, reports.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let gateway = match &arguments.gateway {
        Some(program) => {
            fs::canonicalize(program).with_context(|| format!("finding {}", program.display()))?
        }
        None => build()?,
    };
    machine::prepare()?;
    let directory = PrivateDirectory::new()?;
    let tls = tls::Client::new(directory.path())?;
    let backend = Backend::start(directory.path())?;
    let mut report = Report::new(&arguments.connections);
    measure_fresh(&gateway, &backend, directory.path(), arguments, &mut report)?;
    let peers = PROXIES
        .iter()
        .map(|name| Peer::start(name, &gateway, &backend, directory.path(), None))
        .collect::<Result<Vec<_>>>()?;
    let script = cost::write_script(directory.path(), None)?;
    let authorized = features::authorization();
    let authorized = cost::write_script(directory.path(), Some(&authorized))?;
    let with = match &arguments.with[..] {
        [] => None,
        features => {
            report.with(features::names(features));
            let lines = features::lines(features);
            let directory = directory.path();
            Some(Peer::start(
                OURS_WITH,
                &gateway,
                &backend,
                directory,
                Some(&lines),
            )?)
        }
    };
    for round in 1..=arguments.rounds {
        for connections in &arguments.connections {
            for peer in &peers {
                say(&format!(
                    "round {round}: {} with {connections} connections",
                    peer.name()
                ));
                let cost = cost::measure(peer, &script, *connections, arguments.seconds)?;
                report.cost(peer.name(), *connections, cost);
            }
            if let Some(peer) = &with {
                say(&format!(
                    "round {round}: with more, {connections} connections"
                ));
                let cost = cost::measure(peer, &authorized, *connections, arguments.seconds)?;
                report.cost(peer.name(), *connections, cost);
            }
        }
        for peer in &peers {
            say(&format!(
                "round {round}: {} with HTTP/2, TLS and downloads",
                peer.name()
            ));
            measure_protocols(peer, &tls, arguments.seconds, &mut report)?;
        }
        let schedule = Schedule::new(RATE, RATE_CONNECTIONS, whole_seconds(arguments.seconds));
        say(&format!("round {round}: {RATE} requests per second"));
        let direct = open_loop::measure(schedule, backend.address())?;
        for peer in &peers {
            let through = open_loop::measure(schedule, peer.address())?;
            report.overhead(peer.name(), &direct, &through);
        }
    }
    print!("{}", report.table());
    if arguments.json {
        println!("{}", report.json());
    }
    Ok(())
}

/// What is measured of proxies that have done nothing yet: memory that load has left
/// would be counted as their clients'.
fn measure_fresh(
    gateway: &Path,
    backend: &Backend,
    directory: &Path,
    arguments: &Arguments,
    report: &mut Report,
) -> Result<()> {
    for name in PROXIES {
        let peer = Peer::start(name, gateway, backend, directory, None)?;
        say(&format!("{name}: {} idle connections", memory::CONNECTIONS));
        report.idle(name, memory::idle(&peer, memory::CONNECTIONS)?);
    }
    let fresh = |name| Peer::start(name, gateway, backend, directory, None);
    for name in [OURS, "nginx"] {
        say(&format!(
            "{name}: {} idle, and slow, clients",
            memory::CLIENTS
        ));
        let idle = memory::idle(&fresh(name)?, memory::CLIENTS)?;
        report.measured(Measure::IdleClients, name, idle);
        let slow = memory::slow(&fresh(name)?, memory::CLIENTS)?;
        report.measured(Measure::SlowClients, name, slow);
    }
    for name in PROXIES {
        say(&format!("{name}: reloads under load"));
        let mut peer = Peer::reloadable(name, gateway, backend, directory)?;
        let failed = reload::measure(&mut peer, arguments.seconds)?;
        report.measured(Measure::Reload, name, failed);
    }
    Ok(())
}

/// What is measured of a proxy in each round, beside HTTP/1.
fn measure_protocols(
    peer: &Peer,
    tls: &tls::Client,
    seconds: u32,
    report: &mut Report,
) -> Result<()> {
    let name = peer.name();
    report.measured(Measure::Http2, name, http2::measure(peer, seconds)?);
    for (measure, kind) in [
        (Measure::FullHandshake, Kind::Full),
        (Measure::ResumedHandshake, Kind::Resumed),
    ] {
        let micros = tls.measure(peer, kind, seconds)?;
        report.measured(measure, name, micros);
    }
    let download = download::measure(peer, seconds)?;
    report.measured(Measure::Download, name, download);
    Ok(())
}

/// The gateway's example, as it is shipped.
fn build() -> Result<PathBuf> {
    cargo::run(&[
        "build",
        "--release",
        "--package",
        "gateway",
        "--example",
        "proxy",
    ])?;
    Ok(binaries::target()?.join("release/examples/proxy"))
}

fn whole_seconds(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds))
}

/// Progress does not belong to the figures.
fn say(text: &str) {
    eprintln!("{text}");
}

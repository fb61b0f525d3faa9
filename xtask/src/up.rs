//! `./x up`: the whole set on this machine, and what proves that it works.

use crate::cargo;
use crate::interruption::interrupted;
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use testbed::binaries;
use testbed::cluster::Options;
use testbed::deadline;
use testbed::set::members::{self, MEMBERS};
use testbed::set::prometheus::Pace;
use testbed::set::{CLIENT_KEYS, GATEWAY_KEY, Ports, Set, Settings, load, report};

/// Prometheus here looks more often than a deployed one: somebody waits.
const SCRAPE: &str = "5s";
/// No set runs longer.
const FOREVER: Duration = Duration::from_hours(24 * 365);

/// What the caller wants to see.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Run the calls, queries and the load test of the seed, report, and end
    #[arg(long)]
    check: bool,
    /// How long the load test lasts; the seed has 300
    #[arg(long, value_name = "N", default_value_t = 30, requires = "check",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Print the report as JSON
    #[arg(long, requires = "check")]
    json: bool,
    /// Another port for a part: gateway, control, prometheus or a service
    #[arg(long = "port", value_name = "PART=PORT", value_parser = port)]
    ports: Vec<(String, u16)>,
    /// Free ports for all parts that --port does not name
    #[arg(long)]
    free_ports: bool,
}

fn port(text: &str) -> Result<(String, u16), String> {
    let wrong = || format!("`{text}` is no PART=PORT, such as gateway=8080");
    let (name, port) = text.split_once('=').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    Ok((name.to_owned(), port))
}

/// 0 where it was ended by the caller, or the check is good.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    // Before anything is built: a wrong port is told at once.
    let ports = ports(arguments)?;
    ports.ensure_free()?;
    let packages = members::present().map(|member| member.package);
    // Not by package: what they stand on would be built once more, with fewer features.
    let build: Vec<&str> = ["build", "--quiet", "--bin", "banyan"]
        .into_iter()
        .chain(packages.flat_map(|package| ["--bin", package]))
        .collect();
    cargo::run(&build)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let logs = binaries::target()?.join("up/logs");
        let settings = Settings {
            ports,
            logs: Some(emptied(logs.clone())?),
            cluster: Options::durable(),
            prometheus: Some(Pace {
                interval: SCRAPE,
                hold: None,
            }),
        };
        let tell = |what: &str| eprintln!("starting {what}");
        // Whichever ends first; a set that is dropped halfway ends.
        let set = tokio::select! {
            set = Set::start(&settings, &tell) => {
                set.with_context(|| format!("the set does not run; logs: {}", logs.display()))?
            }
            () = interrupted() => return Ok(ExitCode::SUCCESS),
        };
        if arguments.check {
            check(set, arguments).await
        } else {
            keep(set).await
        }
    })
}

fn ports(arguments: &Arguments) -> Result<Ports> {
    let mut ports = if arguments.free_ports {
        Ports::free()?
    } else {
        Ports::seed()
    };
    for (name, port) in &arguments.ports {
        ports.set(name, *port)?;
    }
    Ok(ports)
}

fn emptied(logs: PathBuf) -> Result<PathBuf> {
    if logs.exists() {
        fs::remove_dir_all(&logs).with_context(|| format!("removing {}", logs.display()))?;
    }
    Ok(logs)
}

async fn check(mut set: Set, arguments: &Arguments) -> Result<ExitCode> {
    let load = load::Settings::seed(Duration::from_secs(arguments.seconds));
    eprintln!("checking, {} s of load among it", arguments.seconds);
    let report = tokio::select! {
        report = report::check(&mut set, &load) => report?,
        () = interrupted() => {
            set.stop().await;
            return Ok(ExitCode::FAILURE);
        }
    };
    set.stop().await;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", report.tables());
    }
    Ok(if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Until Ctrl-C, or until a part ends by itself.
async fn keep(mut set: Set) -> Result<ExitCode> {
    println!("{}", addresses(&set));
    let ended = tokio::select! {
        ended = deadline::poll::<()>("Ctrl-C", FOREVER, || set.ensure_running().map(|()| None)) => ended,
        () = interrupted() => Ok(()),
    };
    eprintln!("\nEnding everything.");
    set.stop().await;
    ended.map(|()| ExitCode::SUCCESS)
}

fn addresses(set: &Set) -> String {
    let ports = set.ports();
    let mut lines = vec![
        "Everything runs; Ctrl-C ends it.\n".to_owned(),
        format!("  gateway       {}", ports.url("gateway")),
        format!("    operators'  X-API-Key: {GATEWAY_KEY}"),
        format!(
            "    clients'    X-API-Key: {}",
            CLIENT_KEYS.replace(',', " or ")
        ),
    ];
    for member in MEMBERS {
        if member.is_present() {
            let (url, key) = (ports.url(member.name), member.key());
            lines.push(format!("  {:13} {url}  X-API-Key: {key}", member.name));
        } else {
            lines.push(format!("  {:13} is not in this workspace", member.name));
        }
    }
    lines.push(format!(
        "  monolith      {}",
        set.monolith().unwrap_or("none")
    ));
    lines.push(format!("  metrics       {}/metrics", ports.url("control")));
    let prometheus = set.prometheus().map(|it| it.url().to_owned());
    lines.push(format!(
        "  prometheus    {}",
        prometheus.unwrap_or_default()
    ));
    lines.push(format!("  mails         {}", set.mails().display()));
    lines.push(format!("  logs          {}\n", set.logs().display()));
    lines.push(format!("  curl {}/health", ports.url("gateway")));
    lines.join("\n")
}

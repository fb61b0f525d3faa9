//! `./x bench services`: what each service takes, release builds on the set of
//! `./x up`, every commit on disk.
//!
//! The service, its database and the clients share the machine, so the answers
//! per second are what it gives to all of them together. The service's own
//! processor time for an answer does not depend on that.

mod load;
mod running_service;
mod workloads;

use super::machine;
use crate::cargo;
use anyhow::{Context, Result, bail};
use comfy_table::{Cell, CellAlignment, Table, presets};
use load::{Figures, Workload};
use running_service::RunningService;
use serde_json::{Value, json};
use std::{
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};
use testbed::{
    binaries,
    cluster::Options,
    deadline,
    scene::{self, Scene},
    set::{
        Ports, Set, Settings,
        members::{self, MEMBERS},
    },
};

/// All mails that were taken are delivered within it.
const MAILS_LIMIT: Duration = Duration::from_mins(10);
/// Contracts need parties and plots in the monolith.
const PARTIES: u64 = 10;
const CONTRACTS: &str = "contracts";

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only these services
    #[arg(value_name = "SERVICE", value_parser = service)]
    services: Vec<String>,
    /// Print the figures as JSON, in the last line
    #[arg(long)]
    json: bool,
    /// How long each measurement takes
    #[arg(long, value_name = "S", default_value_t = 8,
          value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
}

fn names() -> Vec<&'static str> {
    let members = members::present().map(|member| member.name);
    members.chain([CONTRACTS]).collect()
}

fn service(text: &str) -> Result<String, String> {
    if names().contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(format!("there are {}", names().join(", ")))
    }
}

impl Arguments {
    fn wants(&self, name: &str) -> bool {
        self.services.is_empty() || self.services.iter().any(|wanted| wanted == name)
    }
}

/// Builds, measures, reports.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    // The clients share the machine with what they measure: they are built for
    // release, too, and find the services beside themselves.
    if cfg!(debug_assertions) {
        return released();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let figures = runtime.block_on(measure(arguments))?;
    println!("{}", table(&figures));
    if arguments.json {
        println!("{}", json(&figures));
    }
    Ok(())
}

/// This bench again, by a release build.
fn released() -> Result<()> {
    let packages = MEMBERS.iter().map(|member| member.package);
    let packages = packages.chain([CONTRACTS, "banyan", "xtask"]);
    let build: Vec<&str> = ["build", "--release"]
        .into_iter()
        .chain(packages.flat_map(|package| ["--package", package]))
        .collect();
    cargo::run(&build)?;
    let program = binaries::target()?.join("release/xtask");
    let status = Command::new(&program)
        .args(std::env::args_os().skip(1))
        .status()
        .with_context(|| format!("starting {}", program.display()))?;
    if !status.success() {
        bail!("nothing was measured");
    }
    Ok(())
}

/// By service, in the order of the measurements.
type Measured = Vec<(&'static str, Vec<Figures>)>;

async fn measure(arguments: &Arguments) -> Result<Measured> {
    let time = Duration::from_secs(arguments.seconds);
    let mut all = Vec::new();
    let tell = |what: &str| eprintln!("starting {what}");
    let wanted: Vec<_> = members::present()
        .filter(|member| arguments.wants(member.name))
        .collect();
    if !wanted.is_empty() {
        let settings = Settings {
            ports: Ports::free()?,
            logs: None,
            cluster: Options::durable(),
            prometheus: None,
        };
        let set = Set::start(&settings, &tell).await?;
        for member in wanted {
            let service = RunningService {
                url: set.ports().url(member.name),
                pid: set.pid(member.name).context("the service does not run")?,
                key: member.key(),
            };
            let workloads = workloads::of(member.name, &service, set.cluster()).await;
            let workloads = workloads.with_context(|| format!("preparing {}", member.name))?;
            all.push((
                member.name,
                figures(&service, workloads, time, Some(&set)).await?,
            ));
        }
        set.stop().await;
    }
    if arguments.wants(CONTRACTS) {
        let scene = Scene::set(&scene::Settings::durable(PARTIES), &tell).await?;
        let service = RunningService {
            url: scene.service.url().to_owned(),
            pid: scene.service.pid(),
            key: String::new(),
        };
        all.push((
            CONTRACTS,
            figures(&service, workloads::contracts(), time, None).await?,
        ));
        // What was started last ends first.
        drop(scene);
    }
    Ok(all)
}

async fn figures(
    service: &RunningService,
    workloads: Vec<Workload>,
    time: Duration,
    set: Option<&Set>,
) -> Result<Vec<Figures>> {
    let mut all = Vec::new();
    for work in workloads {
        let work = Arc::new(work);
        eprintln!("measuring: {}", work.what());
        let before = (machine::processor_micros(service.pid)?, Instant::now());
        let (figures, asked) = load::run(service, &work, time).await?;
        all.push(figures);
        if let (true, Some(set)) = (work.leads_to_mails(), set) {
            all.push(mails(service, set, asked, before).await?);
        }
    }
    Ok(all)
}

/// Waits until as many mails are delivered as were asked for since `before`,
/// when so much processor time was used.
async fn mails(
    service: &RunningService,
    set: &Set,
    asked: u64,
    before: (f64, Instant),
) -> Result<Figures> {
    eprintln!("waiting for {asked} mails");
    // One was sent in preparation.
    let wanted = usize::try_from(asked)? + 1;
    deadline::poll("all mails", MAILS_LIMIT, || {
        let mails = std::fs::read_to_string(set.mails())?;
        let count = mails.lines().count();
        Ok((count >= wanted).then_some(()))
    })
    .await?;
    let count = f64::from(u32::try_from(asked)?);
    Ok(Figures {
        what: "mail delivered",
        clients: 0,
        per_second: count / before.1.elapsed().as_secs_f64(),
        cpu_micros: (machine::processor_micros(service.pid)? - before.0) / count,
        latency: None,
    })
}

fn table(measured: &Measured) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let header = [
        "service", "what", "clients", "per s", "p50 ms", "p99 ms", "cpu us",
    ];
    table.set_header(header.map(Cell::new));
    for (service, all) in measured {
        for figures in all {
            let latency = figures.latency;
            let ms = |of: Option<f64>| of.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"));
            let numbers = [
                figures.clients.to_string(),
                format!("{:.0}", figures.per_second),
                ms(latency.map(|it| it.p50)),
                ms(latency.map(|it| it.p99)),
                format!("{:.0}", figures.cpu_micros),
            ];
            let names = [*service, figures.what].map(Cell::new);
            let numbers = numbers.map(|text| Cell::new(text).set_alignment(CellAlignment::Right));
            table.add_row(names.into_iter().chain(numbers));
        }
    }
    table
}

/// One line: by service, by what is done.
fn json(measured: &Measured) -> Value {
    let of = |figures: &Figures| {
        let latency = figures.latency;
        let value = json!({
            "clients": figures.clients, "per_second": figures.per_second,
            "cpu_us": figures.cpu_micros,
            "p50_ms": latency.map(|it| it.p50), "p99_ms": latency.map(|it| it.p99),
        });
        (figures.what.to_owned(), value)
    };
    let services = measured.iter().map(|(service, all)| {
        let all: serde_json::Map<_, _> = all.iter().map(of).collect();
        ((*service).to_owned(), Value::Object(all))
    });
    Value::Object(services.collect())
}

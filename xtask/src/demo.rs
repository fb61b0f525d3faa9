//! `./x demo`: the story at full size, or three extractions that go by themselves.

mod full;
mod keep;
mod report;

use crate::{
    cargo,
    interruption::{EXIT_INTERRUPTED, interrupted},
};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use testbed::binaries;
use testbed::story::{self, STEPS, Screen, Settings};

/// Contracts in the monolith before it begins.
const CONTRACTS: u64 = 50_000;

/// What the caller wants to see.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Contracts in the monolith before it begins (default 50000; with --full 10000)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(100..=5_000_000))]
    contracts: Option<u64>,
    /// Leave everything running at the end, until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Three extractions whose steps go by themselves: one gets slow, one turns
    /// bad; in about five minutes
    #[arg(long)]
    full: bool,
    /// Print the report for programs
    #[arg(long)]
    json: bool,
}

/// Builds, tells, reports. 0 only if nothing was failed, lost, doubled, stale
/// or different.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    // Not by package: what they stand on would be built once more, with fewer features.
    cargo::run(&[
        "build",
        "--bin",
        "banyan",
        "--bin",
        "contracts",
        "--bin",
        "identity",
    ])?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // Whichever ends first; the other is dropped, and with the story
        // everything that it started.
        tokio::select! {
            code = shown(arguments) => code,
            () = interrupted() => {
                eprintln!("\nStopping everything.");
                Ok(ExitCode::from(EXIT_INTERRUPTED))
            }
        }
    })
}

async fn shown(arguments: &Arguments) -> Result<ExitCode> {
    let home = binaries::target()?.join("demo");
    fs::create_dir_all(&home)?;
    let is_clean = if arguments.full {
        full::run(arguments.contracts, arguments.json, arguments.keep, &home).await?
    } else {
        tell(arguments, &home).await?
    };
    Ok(if is_clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn tell(arguments: &Arguments, home: &Path) -> Result<bool> {
    let logs = home.join("logs");
    let mut settings = Settings::demo(arguments.contracts.unwrap_or(CONTRACTS));
    settings.scene.logs = Some(logs.clone());
    let screen = Arc::new(if arguments.json {
        Screen::aside()
    } else {
        Screen::new(STEPS)
    });
    let told = story::tell(&settings, Arc::clone(&screen)).await;
    screen.close();
    let told = told.with_context(|| format!("the story broke off; logs: {}", logs.display()))?;
    let report = serde_json::to_value(&told.report)?;
    report::show(
        arguments.json,
        home,
        "report.json",
        &report,
        &told.summary(),
    )?;
    if arguments.keep {
        let running = keep::Running {
            serve: &told.serve,
            banyan: &told.banyan,
            plan: &told.plan,
            scene: &told.scene,
        };
        running.until_dropped().await;
    }
    Ok(told.is_clean())
}

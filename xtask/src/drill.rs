//! `./x drill`: one failure after the other, mended by what Banyan prints.

use crate::{
    cargo,
    interruption::{EXIT_INTERRUPTED, interrupted},
};
use anyhow::{Context, Result};
use std::fs;
use std::process::ExitCode;
use testbed::binaries;
use testbed::drill::{self, FAULTS, Settings};

/// What is drilled.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How often all of them
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Only those whose names contain this; may be given several times
    #[arg(long, value_name = "WORD")]
    only: Vec<String>,
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
    /// Print the drills' names, and do nothing
    #[arg(long)]
    list: bool,
}

/// 0 only if every drill passed and nothing was lost.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.list {
        for fault in FAULTS {
            println!("{}", fault.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    cargo::run(&["build", "--bin", "banyan", "--bin", "contracts"])?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        tokio::select! {
            code = hold(arguments) => code,
            () = interrupted() => {
                eprintln!("\nStopping everything.");
                Ok(ExitCode::from(EXIT_INTERRUPTED))
            }
        }
    })
}

async fn hold(arguments: &Arguments) -> Result<ExitCode> {
    let logs = binaries::target()?.join("drill").join("logs");
    fs::create_dir_all(&logs)?;
    let mut settings = Settings {
        rounds: arguments.rounds,
        only: arguments.only.clone(),
        ..Settings::usual()
    };
    settings.scene.logs = Some(logs.clone());
    let tell = |what: &str| eprintln!("  {what}");
    let outcome = Box::pin(drill::run(&settings, &tell))
        .await
        .with_context(|| format!("the drills broke off; logs: {}", logs.display()))?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&outcome)?);
    } else {
        println!("{}\nlogs: {}", outcome.summary(), logs.display());
    }
    Ok(if outcome.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

//! `./x demo`: the story at full size.

use crate::{
    cargo,
    interruption::{EXIT_INTERRUPTED, interrupted},
};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use testbed::binaries;
use testbed::story::{self, STEPS, Screen, Settings, StoryOutcome};

/// What the caller wants to see.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Contracts in the monolith before it begins
    #[arg(long, value_name = "N", default_value_t = 50_000,
          value_parser = clap::value_parser!(u64).range(100..=5_000_000))]
    contracts: u64,
    /// Leave everything running at the end, until Ctrl-C
    #[arg(long)]
    keep: bool,
}

/// Builds, tells, reports. 0 only if nothing was failed, lost, doubled, stale
/// or different.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    // Not by package: what they stand on would be built once more, with fewer features.
    cargo::run(&["build", "--bin", "banyan", "--bin", "contracts"])?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // Whichever ends first; the other is dropped, and with the story
        // everything that it started.
        tokio::select! {
            code = tell(arguments) => code,
            () = interrupted() => {
                println!("\nStopping everything.");
                Ok(ExitCode::from(EXIT_INTERRUPTED))
            }
        }
    })
}

async fn tell(arguments: &Arguments) -> Result<ExitCode> {
    let home = binaries::target()?.join("demo");
    fs::create_dir_all(&home)?;
    let logs = home.join("logs");
    let mut settings = Settings::demo(arguments.contracts);
    settings.scene.logs = Some(logs.clone());
    let screen = Arc::new(Screen::new(STEPS));
    let told = story::tell(&settings, Arc::clone(&screen)).await;
    screen.close();
    let told = told.with_context(|| format!("the story broke off; logs: {}", logs.display()))?;
    let report = write_report(&told, &home)?;
    println!("\n{}", told.summary());
    println!("report: {}\nlogs:   {}", report.display(), logs.display());
    if arguments.keep {
        show_how_to_go_on(&told);
        // Until `run` drops this.
        std::future::pending::<()>().await;
    }
    Ok(if told.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn write_report(told: &StoryOutcome, home: &Path) -> Result<PathBuf> {
    let path = home.join("report.json");
    fs::write(&path, serde_json::to_string_pretty(&told.report)? + "\n")
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

fn show_how_to_go_on(told: &StoryOutcome) {
    let (banyan, scene) = (&told.banyan, &told.scene);
    println!("\nEverything is still running; Ctrl-C stops it.\n");
    println!("  gateway   {}/api/contracts", told.serve.gateway());
    println!("  metrics   {}/metrics", told.serve.control());
    println!("  monolith  {}/api/contracts", scene.web.url());
    println!("  service   {}/api/contracts\n", scene.service.url());
    println!("In another terminal:\n");
    for (name, value) in told.plan.environment() {
        println!("  export {name}='{value}'");
    }
    let (plan, state) = (banyan.plan().display(), banyan.state().display());
    println!(
        "  banyan() {{ {} \"$@\" --plan {plan} --state {state}; }}",
        banyan.binary().display()
    );
    println!(
        "\n  curl -s {}/api/contracts?page_size=1",
        told.serve.gateway()
    );
    for verb in ["status", "verify contracts", "rollback contracts"] {
        println!("  banyan {verb}");
    }
}

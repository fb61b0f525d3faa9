//! `./x simulate`: the protocol's simulation, for as long as wanted.

use crate::cargo;
use anyhow::Result;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many schedules
    #[arg(default_value_t = 1_000_000)]
    schedules: u64,
    /// The first schedule's seed; each has the next one
    #[arg(long, env = "BANYAN_SEED", default_value_t = 0)]
    seed: u64,
    /// Plant a mistake by its name, to see it found
    #[arg(long, value_name = "BUG")]
    plant: Option<String>,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

/// Has the crate's own bench go through them, on all processors.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let (schedules, seed) = (arguments.schedules.to_string(), arguments.seed.to_string());
    let mut command = vec![
        "bench",
        "--quiet",
        // What the tests are built with: it is there, and overflows are looked at.
        "--profile=dev",
        "--package",
        "protocol",
        "--bench",
        "simulate",
        "--",
    ];
    command.extend(["--schedules", &schedules, "--seed", &seed]);
    if let Some(bug) = &arguments.plant {
        command.extend(["--plant", bug]);
    }
    if arguments.json {
        command.push("--json");
    }
    cargo::run(&command)
}

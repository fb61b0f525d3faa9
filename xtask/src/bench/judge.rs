//! `./x bench judge`: how often gates err.

use crate::cargo;
use anyhow::Result;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Steps of 24 hours drawn for each case at the level with the stated sizes;
    /// fewer at the others
    #[arg(long, default_value_t = 300)]
    draws: u64,
    /// The first step's seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print only the line that sums it up
    #[arg(long)]
    json: bool,
}

/// Has the crate's own bench draw and judge.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let (draws, seed) = (arguments.draws.to_string(), arguments.seed.to_string());
    let mut command = vec![
        "bench",
        "--quiet",
        "--package",
        "judge",
        "--bench",
        "steps",
        "--",
    ];
    command.extend(["--draws", &draws, "--seed", &seed]);
    if arguments.json {
        command.push("--json");
    }
    cargo::run(&command)
}

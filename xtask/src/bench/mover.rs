//! `./x bench mover`: the mover beside what people use for its work today.

use crate::cargo;
use anyhow::Result;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only this part: copy or drain; may be repeated
    #[arg(long)]
    part: Vec<String>,
    /// Rounds of the copy, in each of which every method has its turn
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Rows of the copied data in percent of 11,001,100, 2,026 MB
    #[arg(long, default_value_t = 100)]
    percent: u32,
    /// Print only the line that sums it up
    #[arg(long)]
    json: bool,
}

/// Has the crate's own bench copy, drain and tell.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let rounds = arguments.rounds.to_string();
    let percent = arguments.percent.to_string();
    let mut command = vec![
        "bench",
        "--quiet",
        "--package",
        "mover",
        "--bench",
        "mover",
        "--",
    ];
    command.extend(["--rounds", &rounds, "--percent", &percent]);
    for part in &arguments.part {
        command.extend(["--part", part]);
    }
    if arguments.json {
        command.push("--json");
    }
    cargo::run(&command)
}

//! Development tasks, called by `./x`.

mod bench;
mod cargo;
mod checks;
mod demo;
mod drill;
mod fuzz;
mod interruption;
mod new;
mod simulate;
mod up;
mod versions;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Whatever went wrong has been said.
const EXIT_FAILURE: u8 = 1;

#[derive(Parser)]
#[command(name = "x", bin_name = "./x", about = "Show, test, check and measure Banyan", version = None)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Watch contracts leave a running monolith, come back, and leave again
    Demo(demo::Arguments),
    /// Provoke one failure after the other, follow only what Banyan prints
    Drill(drill::Arguments),
    /// Start the whole set: gateway, services, monolith, Prometheus
    Up(up::Arguments),
    /// Begin something new
    New {
        #[command(subcommand)]
        what: new::New,
    },
    /// Run all checks and tests
    Test {
        /// Run only tests whose names contain one of these, and no other checks
        filters: Vec<String>,
    },
    /// Measure; without a name: what can be measured
    Bench {
        #[command(subcommand)]
        bench: Option<bench::Bench>,
    },
    /// Go through schedules of what can go wrong in a hand-over, and find one that
    /// loses something
    Simulate(simulate::Arguments),
    /// Check formatting, lints, licences and dependencies
    Lint,
    /// Move data between servers of other versions, downloaded by npm
    Versions {
        /// Majors of the monolith's and the service's server, such as 14:17
        #[arg(default_values = versions::PAIRS)]
        pairs: Vec<versions::Pair>,
    },
    /// Look for inputs that break the readers of outside input
    Fuzz {
        /// How long, for each reader
        #[arg(default_value_t = 10)]
        seconds: u32,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Demo(arguments) => demo::run(&arguments),
        Task::Drill(arguments) => drill::run(&arguments),
        Task::Up(arguments) => up::run(&arguments),
        Task::New { what } => new::run(&what).map(|()| ExitCode::SUCCESS),
        Task::Test { filters } => checks::test(&filters).map(|()| ExitCode::SUCCESS),
        Task::Bench { bench } => bench::run(bench.as_ref()).map(|()| ExitCode::SUCCESS),
        Task::Simulate(arguments) => simulate::run(&arguments).map(|()| ExitCode::SUCCESS),
        Task::Lint => checks::lint().map(|()| ExitCode::SUCCESS),
        Task::Versions { pairs } => versions::run(&pairs),
        Task::Fuzz { seconds } => fuzz::run(seconds).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        // Without a backtrace: what failed is said by the chain of contexts.
        let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
        eprintln!("error: {}", chain.join("\n  because: "));
        ExitCode::from(EXIT_FAILURE)
    })
}

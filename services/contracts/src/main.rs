//! The contracts service of the land-contracts example.
//!
//! Serves contracts, their tags and their events under `/api/contracts`, from
//! tables of its own. It is not for parties, plots and users: it asks for the
//! first two over HTTP, and takes whoever stands in front at their word about
//! the third.
//!
//! Dependencies point downward: `api` knows everything, `store` and
//! `directory` know the outside, and `validation` with what is below it
//! (`fields`, `price`, `terms`, `json`, `pages`, `contract`) is pure.

mod api;
mod contract;
mod directory;
mod error;
mod fields;
mod json;
mod pages;
mod price;
mod server;
mod settings;
mod store;
mod terms;
mod validation;

use std::io::IsTerminal;
use std::process::ExitCode;

use tracing::error;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::settings::{DatabaseSettings, Settings, SettingsError};

const USAGE: &str = "\
Usage: contracts            migrate the database, then serve
       contracts migrate    migrate the database and exit

Settings come from the environment; see README.md.";

/// Wrong settings or arguments; trying again will not help.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => serve(),
        ["migrate"] => migrate(),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

fn serve() -> ExitCode {
    match Settings::read(variable) {
        Ok(settings) => {
            log_to_stderr(&settings.database);
            run(server::run(settings))
        }
        Err(error) => refuse(&error),
    }
}

fn migrate() -> ExitCode {
    match DatabaseSettings::read(variable) {
        Ok(settings) => {
            log_to_stderr(&settings);
            run(async move { Ok(store::migrate(&settings).await?) })
        }
        Err(error) => refuse(&error),
    }
}

fn run(work: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let outcome = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            error!("the service stopped: {failure:#}");
            ExitCode::FAILURE
        }
    }
}

fn refuse(error: &SettingsError) -> ExitCode {
    eprintln!("contracts: the settings are not complete\n{error}");
    ExitCode::from(EXIT_USAGE)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn log_to_stderr(settings: &DatabaseSettings) {
    // Failures are logged where they are answered; of sqlx only what took long.
    let chatter = settings.log_level.min(LevelFilter::ERROR);
    let levels = Targets::new()
        .with_default(settings.log_level)
        .with_target("sqlx", chatter)
        .with_target("sqlx_core", chatter)
        .with_target("sqlx::query", settings.log_level);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    tracing_subscriber::registry()
        .with(lines)
        .with(levels)
        .init();
}

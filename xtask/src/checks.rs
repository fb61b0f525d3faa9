//! `./x test` and `./x lint`.

use crate::{cargo, fuzz};
use anyhow::Result;
use std::{num::NonZero, thread};

/// Threads of the fallback runner: each case runs two database servers.
const TEST_THREADS: &str = "--test-threads=2";

/// More than one test for each processor, since most wait for other processes.
const TESTS_PER_PROCESSOR: usize = 2;

/// All that is run or is started by what is run, in one call: what it stands on is built with one
/// set of features, once. Without the examples, which are only linted.
const BUILD: [&str; 4] = ["build", "--workspace", "--bins", "--tests"];
const RUN: [&str; 6] = [
    "nextest",
    "run",
    "--workspace",
    "--lib",
    "--bins",
    "--tests",
];

/// Tells tests that what they need was installed: they fail where they cannot be run.
const SKIP_NOTHING: &str = "BANYAN_SKIP_NOTHING";

/// Each fuzz target runs so long in CI: time to go beyond the kept inputs by a
/// step, not to search.
const FUZZ_SECONDS: u32 = 3;

/// Everything that CI holds. Ends with the test runner's own summary.
pub(crate) fn test(filters: &[String]) -> Result<()> {
    if filters.is_empty() {
        format_and_clippy()?;
        if cargo::has("cargo-deny") {
            deny()?;
        } else {
            println!("cargo-deny is not installed: licences and sources are not checked here;");
            println!("`./x lint` installs it.");
        }
        fuzz::run(FUZZ_SECONDS)?;
    } else {
        println!(
            "Only some tests: formatting, lints and licences are not checked, nothing is fuzzed."
        );
    }
    cargo::run(&BUILD)?;
    let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
    let everything = [(SKIP_NOTHING, "1")];
    if cargo::has("cargo-nextest") {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = format!("--test-threads={}", TESTS_PER_PROCESSOR * processors);
        let run = [&RUN[..], &[threads.as_str()], &filters].concat();
        cargo::run_with(&everything, &run)
    } else {
        println!("cargo-nextest is not installed: using `cargo test`, which is slower.");
        let run = [&["test", "--workspace", "--", TEST_THREADS], &filters[..]].concat();
        cargo::run_with(&everything, &run)
    }
}

/// The checks that start nothing.
pub(crate) fn lint() -> Result<()> {
    format_and_clippy()?;
    cargo::ensure_installed("cargo-deny")?;
    deny()
}

fn format_and_clippy() -> Result<()> {
    cargo::run(&["fmt", "--all", "--check"])?;
    cargo::run(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ])
}

fn deny() -> Result<()> {
    // Not advisories: their database cannot be reached from everywhere.
    cargo::run(&["deny", "check", "bans", "licenses", "sources"])
}

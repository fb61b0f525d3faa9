//! `./x test` and `./x lint`.

use crate::{cargo, fuzz};
use anyhow::Result;
use std::process::{Command, Stdio};

/// Threads of the fallback runner: each case runs two database servers.
const TEST_THREADS: &str = "--test-threads=2";

/// Each fuzz target runs so long in CI: time to go beyond the kept inputs by a
/// step, not to search.
const FUZZ_SECONDS: u32 = 3;

/// Everything that CI holds. Ends with the test runner's own summary.
pub(crate) fn test(filters: &[String]) -> Result<()> {
    if filters.is_empty() {
        format_and_clippy()?;
        if has("cargo-deny") {
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
    // The cases start these as processes, which cargo does not know.
    cargo::run(&["build", "--workspace", "--bins"])?;
    let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
    if has("cargo-nextest") {
        cargo::run(&[&["nextest", "run", "--workspace"], &filters[..]].concat())
    } else {
        println!("cargo-nextest is not installed: using `cargo test`, which is slower.");
        cargo::run(&[&["test", "--workspace", "--", TEST_THREADS], &filters[..]].concat())
    }
}

/// The checks that start nothing.
pub(crate) fn lint() -> Result<()> {
    format_and_clippy()?;
    if !has("cargo-deny") {
        println!("cargo-deny is not installed: building it, which takes some minutes.");
        cargo::run(&["install", "--locked", "cargo-deny"])?;
    }
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

fn has(program: &str) -> bool {
    let mut command = Command::new(program);
    command
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

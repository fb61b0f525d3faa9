//! Runs cargo.

use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs cargo in the repository and shows what it prints.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    run_with(&[], arguments)
}

/// The same with variables set.
pub(crate) fn run_with(variables: &[(&str, &str)], arguments: &[&str]) -> Result<()> {
    show(&testbed::binaries::repository(), variables, arguments)
}

/// The same in another workspace.
pub(crate) fn run_in(workspace: &Path, arguments: &[&str]) -> Result<()> {
    show(workspace, &[], arguments)
}

/// Whether one of cargo's subcommands, `cargo-deny` for instance, is installed.
pub(crate) fn has(program: &str) -> bool {
    let mut command = Command::new(program);
    command
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Installs one where it is not.
pub(crate) fn ensure_installed(program: &str) -> Result<()> {
    if has(program) {
        return Ok(());
    }
    println!("{program} is not installed: building it, which takes some minutes.");
    run(&["install", "--locked", program])
}

fn show(workspace: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Result<()> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // Not to stdout, which a report may be read from.
    eprintln!("$ cargo {}", arguments.join(" "));
    let status = Command::new(program)
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(workspace)
        .status()
        .context("running cargo")?;
    if !status.success() {
        bail!("cargo {} failed", arguments.first().unwrap_or(&""));
    }
    Ok(())
}

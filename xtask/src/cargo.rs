//! Runs cargo.

use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// Runs cargo in the repository and shows what it prints.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    run_in(&testbed::binaries::repository(), arguments)
}

/// The same in another workspace.
pub(crate) fn run_in(workspace: &Path, arguments: &[&str]) -> Result<()> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // Not to stdout, which a report may be read from.
    eprintln!("$ cargo {}", arguments.join(" "));
    let status = Command::new(program)
        .args(arguments)
        .current_dir(workspace)
        .status()
        .context("running cargo")?;
    if !status.success() {
        bail!("cargo {} failed", arguments.first().unwrap_or(&""));
    }
    Ok(())
}

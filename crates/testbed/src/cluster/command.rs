//! Runs PostgreSQL's programs and those around them.

use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// Whether files that are made here belong to root.
pub(super) fn is_root() -> Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(tempfile::tempfile()?.metadata()?.uid() == 0)
}

/// With owners and modes, which a server insists on.
pub(super) fn copy_directory(from: &Path, to: &Path) -> Result<()> {
    let mut command = Command::new("cp");
    run_to_end(command.args(["-a", "--"]).arg(from).arg(to), from)
}

/// Runs a command; an error with what it said if it fails.
pub(super) fn run_to_end(command: &mut Command, what: &Path) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("running {}", what.display()))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("{} ended with {}:\n{text}", what.display(), output.status);
    }
    Ok(())
}

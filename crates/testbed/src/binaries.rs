//! Where the binaries under test and the repository's files are.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn repository() -> PathBuf {
    // crates/testbed is two levels down.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// The directory that cargo builds into.
pub fn target() -> Result<PathBuf> {
    let programs = beside_this_one()?;
    programs
        .parent()
        .map(Path::to_owned)
        .context("this binary is not in a target directory")
}

/// A binary of this workspace, built with the same profile as this one.
/// `BANYAN_BIN` and `CONTRACTS_BIN` name others.
pub fn find(name: &str) -> Result<PathBuf> {
    let variable = format!("{}_BIN", name.to_uppercase());
    let path = match std::env::var_os(&variable) {
        Some(path) => PathBuf::from(path),
        None => beside_this_one()?.join(name),
    };
    if !path.is_file() {
        bail!(
            "{} is not there: run `cargo build -p {name}` or set {variable}",
            path.display()
        );
    }
    Ok(path)
}

fn beside_this_one() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let directory = this.parent().context("this binary has no directory")?;
    // Test binaries are one level deeper, in `deps`.
    let is_deps = directory.file_name().is_some_and(|name| name == "deps");
    let programs = if is_deps {
        directory.parent()
    } else {
        Some(directory)
    };
    programs
        .map(Path::to_owned)
        .context("this binary is not in a target directory")
}

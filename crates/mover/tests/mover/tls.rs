//! TLS to servers that demand it.

mod moving;
mod refusals;

use anyhow::Result;
use std::path::{Path, PathBuf};

/// Writes a file for an address to name.
fn file(directory: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = directory.join(name);
    std::fs::write(&path, text)?;
    Ok(path)
}

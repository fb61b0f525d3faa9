//! Node packages, installed once per content of their lock file and shared by
//! everything that runs here, as [`crate::python`] does it for Python.

use crate::made_once;
use crate::process::{self, Spec};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LOCK_FILE: &str = "package-lock.json";

const INSTALL_LIMIT: Duration = Duration::from_mins(5);

/// The `package.json` and the lock file that are in `project`, installed: a directory that has
/// them in its `node_modules`.
pub async fn packages(project: &Path) -> Result<PathBuf> {
    let lock_file = project.join(LOCK_FILE);
    let text = fs::read_to_string(&lock_file)
        .with_context(|| format!("reading {}", lock_file.display()))?;
    made_once::directory("node", text, async |home| install(project, home).await).await
}

async fn install(project: &Path, home: &Path) -> Result<()> {
    fs::create_dir_all(home)?;
    for file in ["package.json", LOCK_FILE] {
        fs::copy(project.join(file), home.join(file))?;
    }
    let cache = home.join("cache");
    let npm = Spec::new("npm", "npm")
        .args(["ci", "--silent", "--no-audit", "--no-fund"])
        .arg("--cache")
        .arg(&cache)
        .directory(home);
    process::run(&npm, INSTALL_LIMIT)
        .await?
        .successful()
        .context("npm ci failed; on Debian and Ubuntu it needs the package npm")?;
    Ok(fs::remove_dir_all(&cache)?)
}

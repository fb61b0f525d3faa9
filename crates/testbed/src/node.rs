//! Node packages, installed once per content of their lock file and shared by
//! everything that runs here, as [`crate::python`] does it for Python.

use crate::binaries;
use crate::process::{self, Spec};
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
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
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let all = binaries::target()?.join("node");
    fs::create_dir_all(&all)?;
    let home = all.join(format!("{:016x}", hasher.finish()));
    let lock = File::create(all.join("lock"))?;
    // Another process may be installing: let it, on a thread that may block.
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await??;
    let complete = home.join("complete");
    if !complete.exists() {
        fs::create_dir_all(&home)?;
        for file in ["package.json", LOCK_FILE] {
            fs::copy(project.join(file), home.join(file))?;
        }
        let cache = home.join("cache");
        let npm = Spec::new("npm", "npm")
            .args(["ci", "--silent", "--no-audit", "--no-fund"])
            .arg("--cache")
            .arg(&cache)
            .directory(&home);
        process::run(&npm, INSTALL_LIMIT)
            .await?
            .successful()
            .context("npm ci failed; on Debian and Ubuntu it needs the package npm")?;
        // Only a failure to tidy up.
        let _ = fs::remove_dir_all(&cache);
        fs::write(&complete, "")?;
    }
    drop(lock);
    Ok(home)
}

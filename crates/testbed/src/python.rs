//! A Python environment with the monolith's requirements, made once per
//! content of `requirements.txt` and interpreter, and shared by everything that
//! runs here.

use crate::made_once;
use crate::process::{self, Spec};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Django and its database driver are about 15 MB to load.
const INSTALL_LIMIT: Duration = Duration::from_mins(5);

/// Python starts in some hundredths of a second.
const START_LIMIT: Duration = Duration::from_mins(1);

/// A ready environment.
#[derive(Debug, Clone)]
pub struct Environment {
    home: PathBuf,
}

impl Environment {
    /// Finds the environment for a requirements file, or makes it.
    pub async fn ensure(requirements: &Path) -> Result<Self> {
        let text = fs::read_to_string(requirements)
            .with_context(|| format!("reading {}", requirements.display()))?;
        // An environment refers to the interpreter that it was made with.
        let content = (text, interpreter().await?);
        let home =
            made_once::directory("venv", content, async |home| make(home, requirements).await);
        let home = home
            .await
            .context("making the Python environment of the monolith")?;
        Ok(Self { home })
    }

    /// The path of a program in it.
    pub fn program(&self, name: &str) -> PathBuf {
        self.home.join("bin").join(name)
    }
}

/// Which Python there is, and where.
async fn interpreter() -> Result<String> {
    let script = "import sys; print(sys.executable, sys.version)";
    let spec = Spec::new("python", "python3").args(["-c", script]);
    let finished = process::run(&spec, START_LIMIT).await?.successful()?;
    Ok(finished.stdout)
}

async fn make(home: &Path, requirements: &Path) -> Result<()> {
    let venv = Spec::new("venv", "python3")
        .args(["-m", "venv", "--clear"])
        .arg(home);
    process::run(&venv, INSTALL_LIMIT)
        .await?
        .successful()
        .context(
            "python3 -m venv failed; on Debian and Ubuntu it needs the package python3-venv",
        )?;
    let pip = Spec::new("pip", home.join("bin/pip"))
        .args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
        ])
        .arg(requirements);
    process::run(&pip, INSTALL_LIMIT).await?.successful()?;
    Ok(())
}

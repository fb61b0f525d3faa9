//! A fresh data directory, made once per user and installation and then copied:
//! a copy takes a tenth of the time of initdb.

use super::command::copy_directory;
use super::installation::{Installation, SUPERUSER};
use crate::directory;
use anyhow::{Context, Result};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// Included at the end of postgresql.conf, so that it wins.
pub(super) const SETTINGS_FILE: &str = "testbed.conf";

/// Part of the cache's name: changes when what is made here changes.
const FORMAT: u32 = 1;

/// Copies a fresh data directory to `data`.
pub(super) async fn copy(installation: &Installation, data: &Path) -> Result<()> {
    let (installation, data) = (installation.clone(), data.to_owned());
    tokio::task::spawn_blocking(move || {
        let template = ensure(&installation)?;
        copy_directory(&template, &data)
    })
    .await?
}

fn ensure(installation: &Installation) -> Result<PathBuf> {
    // Two builds of one version may differ in what they lay down and understand.
    let mut programs = DefaultHasher::new();
    installation.program("initdb").hash(&mut programs);
    let name = format!(
        "initdb-{}-{FORMAT}-{:016x}",
        installation.version(),
        programs.finish()
    );
    let lock = directory::lock_file(&format!("{name}.lock"))?;
    lock.lock()?;
    let home = directory::shared()?.join(&name);
    let (complete, data) = (home.join("complete"), home.join("data"));
    if complete.exists() {
        return Ok(data);
    }
    if home.exists() {
        fs::remove_dir_all(&home).with_context(|| format!("removing {}", home.display()))?;
    }
    installation.make_directory(&home)?;
    let place = data.to_string_lossy();
    let mut arguments = vec![
        "--pgdata",
        &place,
        "--username",
        SUPERUSER,
        "--auth-local=trust",
        "--auth-host=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
    ];
    if installation.major() >= 14 {
        arguments.push("--no-instructions");
    }
    installation.run("initdb", &arguments, &home)?;
    let path = data.join("postgresql.conf");
    let settings = fs::read_to_string(&path)?;
    fs::write(&path, format!("{settings}\ninclude '{SETTINGS_FILE}'\n"))?;
    fs::write(&complete, "")?;
    Ok(data)
}

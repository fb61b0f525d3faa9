//! Where PostgreSQL's programs are and as whom they run.

use super::command::{is_root, run_to_end};
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who made the cluster.
pub const SUPERUSER: &str = "testbed";

/// The system user that the server package makes.
const SYSTEM_USER: &str = "postgres";

/// Where Debian and Ubuntu put the programs, one directory per version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// `TESTBED_POSTGRES_MONOLITH` is the directory of the programs of all clusters
/// that are called `monolith`: those of another version.
const PROGRAMS_VARIABLE: &str = "TESTBED_POSTGRES_";

/// A PostgreSQL with its server.
#[derive(Debug, Clone)]
pub struct Installation {
    programs: PathBuf,
    version: String,
    major: u32,
    as_root: bool,
}

impl Installation {
    /// The newest that is installed. Looks in Debian's directories first, because
    /// the server's programs are not in PATH there, then asks pg_config.
    pub fn find() -> Result<Self> {
        let Some(programs) = newest_in(Path::new(VERSIONS)).or_else(by_pg_config) else {
            bail!("no PostgreSQL server found in {VERSIONS} or by pg_config; install postgresql");
        };
        Self::at(programs)
    }

    /// The one for clusters of a name: what the environment says, or the newest.
    pub fn of(cluster: &str) -> Result<Self> {
        let variable = format!("{PROGRAMS_VARIABLE}{}", cluster.to_uppercase());
        match std::env::var_os(&variable) {
            Some(programs) => Self::at(programs.into()).context(variable),
            None => Self::find(),
        }
    }

    fn at(programs: PathBuf) -> Result<Self> {
        let postgres = programs.join("postgres");
        let version = version_of(&postgres)?;
        let major = major_of(&version)
            .with_context(|| format!("{} has the version {version}", postgres.display()))?;
        Ok(Self {
            programs,
            version,
            major,
            as_root: is_root()?,
        })
    }

    /// The path of one of its programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// The version, such as `15.18`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The major version.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// What stands in front of a command that must not run as root.
    pub fn prefix(&self) -> Vec<&'static str> {
        let Self { as_root: true, .. } = self else {
            return Vec::new();
        };
        let (user, group) = ("--reuid=postgres", "--regid=postgres");
        vec!["setpriv", user, group, "--init-groups", "--"]
    }

    /// Makes a directory that belongs to the server's user, closed to others.
    pub fn make_directory(&self, path: &Path) -> Result<()> {
        fs::DirBuilder::new()
            .mode(0o700)
            .create(path)
            .with_context(|| format!("making {}", path.display()))?;
        self.take_directory(path)
    }

    /// Makes a directory the server's, closed to others.
    pub(super) fn take_directory(&self, path: &Path) -> Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
        self.give(path)
    }

    /// Makes a file the server's, closed to others.
    pub(super) fn take_private(&self, path: &Path) -> Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        self.give(path)
    }

    fn give(&self, path: &Path) -> Result<()> {
        if self.as_root {
            run_to_end(
                Command::new("chown")
                    .arg(format!("{SYSTEM_USER}:"))
                    .arg(path),
                path,
            )?;
        }
        Ok(())
    }

    /// Runs one of its programs to the end.
    pub fn run(&self, name: &str, arguments: &[&str], directory: &Path) -> Result<()> {
        let program = self.program(name);
        let mut line: Vec<&str> = self.prefix();
        let path = program.to_string_lossy();
        line.push(&path);
        line.extend(arguments);
        run_to_end(
            Command::new(line[0])
                .args(&line[1..])
                .current_dir(directory),
            &program,
        )
    }
}

fn newest_in(versions: &Path) -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(versions)
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_string_lossy().parse().ok()?;
            let programs = entry.path().join("bin");
            programs
                .join("postgres")
                .is_file()
                .then_some((version, programs))
        })
        .collect();
    found.sort();
    found.pop().map(|(_, programs)| programs)
}

fn by_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let programs = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    programs.join("postgres").is_file().then_some(programs)
}

/// Of `15.18`, and of `19beta1`.
fn major_of(version: &str) -> Result<u32> {
    let end = version.find(|c: char| !c.is_ascii_digit());
    let (digits, _) = version.split_at(end.unwrap_or(version.len()));
    digits.parse().context("no number begins it")
}

fn version_of(postgres: &Path) -> Result<String> {
    let output = Command::new(postgres).arg("--version").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    // `postgres (PostgreSQL) 15.18 (Debian ...)`
    let version = text
        .split_whitespace()
        .nth(2)
        .context("no version from postgres --version")?;
    Ok(version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_begins_with_a_number() {
        assert_eq!(major_of("15.18").unwrap(), 15);
        assert_eq!(major_of("19beta1").unwrap(), 19);
        assert_eq!(major_of("18").unwrap(), 18);
        assert!(major_of("devel").is_err());
        assert!(major_of("").is_err());
    }
}

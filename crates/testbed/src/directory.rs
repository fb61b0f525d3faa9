//! A private directory for one run, under a shared one per user of the machine.
//!
//! The owner of a run holds a lock on a file in it. Whoever starts later
//! removes directories whose lock is not held: those of runs that were killed.

use anyhow::{Context, Result, bail};
use std::fs::{self, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Others may pass through but not list: the `postgres` system user needs to
/// reach the data directories, which are closed themselves.
const PASSABLE: u32 = 0o711;

/// A run directory younger than this may be one whose lock is just being made.
const FRESH: Duration = Duration::from_secs(30);

/// Set to keep the directory for a look afterwards.
pub const KEEP_VARIABLE: &str = "TESTBED_KEEP";

/// A directory that is removed when this value is dropped.
#[derive(Debug)]
pub struct PrivateDirectory {
    path: PathBuf,
    _lock: File,
}

impl PrivateDirectory {
    /// Makes a new one, and removes those of runs that were killed.
    pub fn new() -> Result<Self> {
        let shared = shared()?;
        sweep(&shared);
        let path = tempfile::Builder::new()
            .prefix("run-")
            .rand_bytes(6)
            .permissions(fs::Permissions::from_mode(PASSABLE))
            .tempdir_in(&shared)
            .with_context(|| format!("making a directory in {}", shared.display()))?
            .keep();
        // The mode above passes through the umask.
        fs::set_permissions(&path, fs::Permissions::from_mode(PASSABLE))?;
        // Locked before others can see it: an unlocked one is an abandoned one.
        let making = path.join("lock.new");
        let lock = File::create(&making)?;
        lock.lock()?;
        fs::rename(&making, path.join("lock"))?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        if std::env::var_os(KEEP_VARIABLE).is_some() {
            eprintln!("kept: {}", self.path.display());
        } else {
            remove(&self.path);
        }
    }
}

/// The directory that all runs of this user share: caches and locks.
pub fn shared() -> Result<PathBuf> {
    // Without unsafe code, the way to learn the effective user is to own a file.
    let user = tempfile::tempfile()?.metadata()?.uid();
    let path = std::env::temp_dir().join(format!("banyan-testbed-{user}"));
    match fs::DirBuilder::new().mode(PASSABLE).create(&path) {
        Ok(()) => fs::set_permissions(&path, fs::Permissions::from_mode(PASSABLE))?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(&path)?;
            if !found.is_dir() || found.uid() != user {
                bail!(
                    "{} belongs to somebody else; remove it or set TMPDIR",
                    path.display()
                );
            }
        }
        Err(error) => return Err(error).with_context(|| format!("making {}", path.display())),
    }
    Ok(path)
}

/// Opens a lock file in the shared directory.
pub fn lock_file(name: &str) -> Result<File> {
    let path = shared()?.join(name);
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("opening {}", path.display()))
}

/// Removes run directories whose owner is gone. A failure here only leaves
/// rubbish for the next run.
fn sweep(shared: &Path) {
    let Ok(entries) = fs::read_dir(shared) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with("run-") && is_abandoned(&entry.path()) {
            remove(&entry.path());
        }
    }
}

fn is_abandoned(run: &Path) -> bool {
    match File::open(run.join("lock")) {
        Ok(lock) => !matches!(lock.try_lock(), Err(TryLockError::WouldBlock)),
        Err(_) => fs::metadata(run)
            .and_then(|found| found.modified())
            .is_ok_and(|at| {
                SystemTime::now()
                    .duration_since(at)
                    .is_ok_and(|age| age > FRESH)
            }),
    }
}

fn remove(run: &Path) {
    // A server that is just dying may still make a file: try a few times.
    for _ in 0..20 {
        match fs::remove_dir_all(run) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                std::thread::sleep(Duration::from_millis(50));
            }
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_away_with_its_owner_and_is_not_swept_before() {
        let first = PrivateDirectory::new().unwrap();
        let second = PrivateDirectory::new().unwrap();
        assert!(first.path().is_dir(), "a run in progress was swept");
        let path = second.path().to_owned();
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn none_is_swept_while_it_is_made() {
        let make = || {
            for _ in 0..100 {
                let made = PrivateDirectory::new().unwrap();
                assert!(made.path().join("lock").is_file());
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(make);
            }
        });
    }

    #[test]
    fn is_abandoned_when_nobody_holds_its_lock() {
        let run = PrivateDirectory::new().unwrap();
        assert!(!is_abandoned(run.path()));
        let other = tempfile::tempdir().unwrap();
        File::create(other.path().join("lock")).unwrap();
        assert!(is_abandoned(other.path()));
    }
}

//! A disk that can really be full: a file system in memory, of a bounded size, mounted
//! where a server or `banyan serve` keeps its files.
//!
//! A child process mounts it and takes it away when it ends, so that no mount
//! outlives this process either. Only who may mount has such disks.

use crate::deadline;
use crate::process::{Process, Spec};
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Arguments: where, and how many bytes. Detached at the end, since servers may
/// still have files open.
const MOUNTED: &str = r#"
mount -t tmpfs -o "size=$2,mode=0711" banyan-testbed "$1" || exit 1
trap 'umount -l "$1"; exit 0' TERM
while :; do
    sleep 3600 &
    wait $!
done
"#;

const MOUNT_LIMIT: Duration = Duration::from_secs(30);

/// What fills it.
const BALLAST: &str = "ballast";

/// Written at once, the large ones first: at the end nothing fits any more.
const PIECES: [usize; 2] = [1 << 20, 4 << 10];

/// A mounted disk. Dropping it takes it away, with what is on it.
#[derive(Debug)]
pub struct SmallDisk {
    at: PathBuf,
    _mounted: Process,
}

impl SmallDisk {
    /// Mounts one over a directory; `None` where this user may not.
    pub async fn mount(at: &Path, bytes: u64, logs: &Path) -> Result<Option<Self>> {
        let name = at.file_name().context("a directory with a name")?;
        let spec = Spec::new(format!("disk-{}", name.display()), "sh")
            .args(["-c", MOUNTED, "mounted"])
            .arg(at)
            .arg(bytes.to_string());
        let mut process = Process::start(&spec, logs)?;
        let mounted = deadline::poll("a disk to be mounted", MOUNT_LIMIT, || {
            if is_mounted(at)? {
                return Ok(Some(true));
            }
            Ok(process.exited().map(|_| false))
        })
        .await?;
        Ok(mounted.then(|| Self {
            at: at.to_owned(),
            _mounted: process,
        }))
    }

    /// Writes until there is no room for anything.
    pub fn fill(&self) -> Result<()> {
        let path = self.at.join(BALLAST);
        let mut ballast = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))?;
        for length in PIECES {
            let piece = vec![0; length];
            loop {
                match ballast.write_all(&piece) {
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    written => written.context("filling a disk")?,
                }
            }
        }
        Ok(())
    }

    /// Takes away what filled it.
    pub fn free(&self) -> Result<()> {
        match fs::remove_file(self.at.join(BALLAST)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

fn is_mounted(at: &Path) -> io::Result<bool> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let at = at.to_string_lossy();
    Ok(mounts
        .lines()
        .any(|line| line.split(' ').nth(1) == Some(&*at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::PrivateDirectory;

    #[tokio::test]
    async fn is_full_and_free_again_and_goes_away() {
        let directory = PrivateDirectory::new().unwrap();
        let at = directory.path().join("small");
        fs::create_dir(&at).unwrap();
        let Some(disk) = SmallDisk::mount(&at, 1 << 20, directory.path())
            .await
            .unwrap()
        else {
            eprintln!("SKIPPED: this user may not mount");
            return;
        };
        disk.fill().unwrap();
        let full = fs::write(at.join("more"), [1; 8192]).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::StorageFull);
        disk.free().unwrap();
        fs::write(at.join("more"), [1; 8192]).unwrap();
        drop(disk);
        deadline::poll("the disk to go", MOUNT_LIMIT, || {
            Ok((!is_mounted(&at)?).then_some(()))
        })
        .await
        .unwrap();
        assert!(!at.join("more").exists());
    }
}

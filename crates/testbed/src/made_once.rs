//! Directories below the target directory that take long to make: once for each
//! content, shared by everything that runs here.

use crate::binaries;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The directory of `area` for this content. Where there is none yet, `make` is
/// given its path; what a `make` that fails leaves is removed.
pub(crate) async fn directory(
    area: &str,
    content: impl Hash,
    make: impl AsyncFnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let all = binaries::target()?.join(area);
    fs::create_dir_all(&all)?;
    let home = all.join(format!("{:016x}", hash(content)));
    let lock = File::create(all.join("lock"))?;
    // Another process may be making it: let it, on a thread that may block.
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await??;
    let complete = home.join("complete");
    if !complete.exists() {
        // Of one that was killed while it made it.
        remove(&home)?;
        if let Err(error) = make(&home).await {
            let _ = remove(&home);
            return Err(error);
        }
        fs::write(&complete, "")?;
    }
    drop(lock);
    Ok(home)
}

fn hash(content: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

fn remove(home: &Path) -> Result<()> {
    match fs::remove_dir_all(home) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", home.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn what_a_killed_one_has_left_is_not_built_upon() -> Result<()> {
        let area = format!("made-once-{}", std::process::id());
        let half = async |home: &Path| {
            fs::create_dir_all(home)?;
            fs::write(home.join("left"), "")?;
            std::future::pending().await
        };
        let killed = tokio::time::timeout(Duration::ZERO, directory(&area, 1, half)).await;
        assert!(killed.is_err());
        let made = directory(&area, 1, async |home| {
            assert!(!home.exists(), "something was left");
            Ok(fs::create_dir_all(home)?)
        })
        .await;
        fs::remove_dir_all(binaries::target()?.join(&area))?;
        assert!(made?.ends_with(format!("{area}/{:016x}", hash(1))));
        Ok(())
    }
}

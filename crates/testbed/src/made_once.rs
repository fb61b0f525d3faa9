//! Directories below the target directory that take long to make: once for each
//! content, shared by everything that runs here.

use crate::binaries;
use anyhow::Result;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// The directory of `area` for this content. Where there is none yet, `make` is
/// given its path; what a `make` that fails leaves is removed.
pub(crate) async fn directory(
    area: &str,
    content: impl Hash,
    make: impl AsyncFnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    let all = binaries::target()?.join(area);
    fs::create_dir_all(&all)?;
    let home = all.join(format!("{:016x}", hasher.finish()));
    let lock = File::create(all.join("lock"))?;
    // Another process may be making it: let it, on a thread that may block.
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await??;
    let complete = home.join("complete");
    if !complete.exists() {
        if let Err(error) = make(&home).await {
            let _ = fs::remove_dir_all(&home);
            return Err(error);
        }
        fs::write(&complete, "")?;
    }
    drop(lock);
    Ok(home)
}

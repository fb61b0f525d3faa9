//! `control.json` in the state directory: where a running `banyan serve`
//! listens, and the token that its API wants. Only its owner may read it.

use serde::{Deserialize, Serialize};
use std::{
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

const FILE: &str = "control.json";

/// Where the API is, and its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ControlFile {
    /// `address:port`.
    pub(crate) address: String,
    /// The bearer token.
    pub(crate) token: String,
}

/// Writes the file whole, readable by its owner alone.
pub(crate) fn write(state: &Path, control: &ControlFile) -> io::Result<()> {
    let temporary = state.join(format!("{FILE}.new"));
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(serde_json::to_string(control)?.as_bytes())?;
    std::fs::rename(temporary, path(state))
}

/// Reads it; `None` when there is none.
pub(crate) fn read(state: &Path) -> io::Result<Option<ControlFile>> {
    match std::fs::read(path(state)) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes it.
pub(crate) fn remove(state: &Path) {
    // Another one has been written over it, or it is gone: as good.
    drop(std::fs::remove_file(path(state)));
}

fn path(state: &Path) -> PathBuf {
    state.join(FILE)
}

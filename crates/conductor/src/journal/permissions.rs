//! Who may read the state directory: its owner alone. The journal has what people noted, and
//! keys of rows.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// What anybody but the owner may.
const OF_OTHERS: u32 = 0o077;

/// Of a directory that is everybody's, like `/tmp`.
const STICKY: u32 = 0o1000;

/// Makes the directory of a journal and its file where they are missing. What an earlier
/// version made is narrowed; a directory that was made for it by others is left as it is.
pub(super) fn make_private(journal: &Path) -> io::Result<()> {
    let is_there = journal.exists();
    if let Some(directory) = journal.parent() {
        make_directory(directory)?;
        if is_there {
            narrow(directory);
        }
    }
    if !is_there {
        // Of files that are there nothing is opened: closing them again would let go of the
        // locks that SQLite has on them. What is wrong here it says itself.
        let mut options = OpenOptions::new();
        let _ = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(journal);
    }
    // SQLite makes those beside it with the file's own permissions.
    for suffix in ["", "-wal", "-shm"] {
        let mut name = journal.as_os_str().to_owned();
        name.push(suffix);
        narrow(Path::new(&name));
    }
    Ok(())
}

fn make_directory(directory: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
}

/// Takes from others what they may.
fn narrow(path: &Path) {
    let Ok(metadata) = fs::metadata(path) else {
        return;
    };
    let mode = metadata.permissions().mode();
    if mode & OF_OTHERS == 0 || mode & STICKY != 0 {
        return;
    }
    let narrower = fs::Permissions::from_mode(mode & !OF_OTHERS);
    if let Err(error) = fs::set_permissions(path, narrower) {
        let path = path.display();
        tracing::warn!(%path, %error, "others may read this: it is not ours to change");
    }
}

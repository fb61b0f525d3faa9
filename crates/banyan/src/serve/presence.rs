//! Who serves with this state directory: each process has a file there that it holds locked
//! for as long as it answers anybody, and the kernel lets go of it however it ends.
//!
//! A process that was taken over from, or whose successor was killed, goes on answering for
//! its grace, by the routing that it had. Whoever comes after it, at once or later, must
//! neither fence what that one may still write, nor let reads go where they may miss it.

use conductor::ports::Predecessor;
use gateway::Answering;
use protocol::GatewayId;
use serde::{Deserialize, Serialize};
use std::{
    ffi::OsStr,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// In the state directory.
const DIRECTORY: &str = "serving";

/// What is being made; nobody serves by it yet.
const UNFINISHED: &str = "new";

/// Longer than anything that is told, so that each time replaces the last one whole.
const TOLD_BYTES: usize = 160;

/// What a process tells those that come after it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct PresenceRecord {
    pid: u32,
    requests: usize,
    streams: usize,
    /// When it ends at the latest, in milliseconds since 1970; once it does.
    ends_at_ms: Option<u64>,
}

/// That this process serves; until it is dropped.
pub(super) struct Presence {
    file: File,
    path: PathBuf,
}

impl Presence {
    pub(super) fn enter(state: &Path, id: GatewayId) -> io::Result<Self> {
        let directory = state.join(DIRECTORY);
        // The state directory with it, which the journal has for its owner alone.
        let mut make = DirBuilder::new();
        make.recursive(true).mode(0o700).create(&directory)?;
        let path = directory.join(id.0.to_string());
        // Locked before it has its name: whoever finds it finds it so.
        let unfinished = path.with_extension(UNFINISHED);
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600);
        let file = file.open(&unfinished)?;
        file.try_lock()?;
        fs::rename(&unfinished, &path)?;
        let presence = Self { file, path };
        presence.write(&PresenceRecord {
            pid: std::process::id(),
            ..PresenceRecord::default()
        })?;
        Ok(presence)
    }

    /// It ends, this time from now at the latest.
    pub(super) fn ends(&self, answering: Answering, left: Duration) {
        let told = PresenceRecord {
            pid: std::process::id(),
            requests: answering.requests,
            streams: answering.streams,
            ends_at_ms: Some(now_ms() + milliseconds(left)),
        };
        if let Err(error) = self.write(&told) {
            tracing::debug!(%error, "what is left is not told");
        }
    }

    fn write(&self, told: &PresenceRecord) -> io::Result<()> {
        let text = format!("{:<TOLD_BYTES$}", serde_json::to_string(told)?);
        self.file.write_all_at(text.as_bytes(), 0)
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        // What stays is not locked, and so counts for nothing.
        let _ = fs::remove_file(&self.path);
    }
}

/// The other processes that serve with this state directory. Removes what those left that
/// were killed.
pub(super) fn others(state: &Path, own: Option<GatewayId>) -> io::Result<Vec<Predecessor>> {
    let entries = match fs::read_dir(state.join(DIRECTORY)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let own = own.map(|id| id.0.to_string());
    let mut others = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_unfinished = path.extension() == Some(OsStr::new(UNFINISHED));
        if is_unfinished || path.file_name() == own.as_deref().map(OsStr::new) {
            continue;
        }
        others.extend(at(&path)?);
    }
    Ok(others)
}

/// The process that has a file, if it serves.
fn at(path: &Path) -> io::Result<Option<Predecessor>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    match file.try_lock() {
        Ok(()) => {
            // Somebody else may have removed it in the same moment.
            let _ = fs::remove_file(path);
            Ok(None)
        }
        Err(TryLockError::WouldBlock) => {
            // Empty where it has only just begun.
            let text = io::read_to_string(&file)?;
            let told: PresenceRecord = serde_json::from_str(text.trim_end()).unwrap_or_default();
            let left = told.ends_at_ms.map(|at| at.saturating_sub(now_ms()));
            Ok(Some(Predecessor {
                pid: told.pid,
                requests: told.requests,
                streams: told.streams,
                seconds_left: left.map(|left| left.div_ceil(1000)),
            }))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, milliseconds)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn id() -> GatewayId {
        GatewayId(uuid::Uuid::new_v4())
    }

    #[test]
    fn whoever_serves_is_seen_by_the_others_until_it_ends() {
        let home = tempfile::tempdir().unwrap();
        let state = &home.path().join("state");
        assert_eq!(others(state, None).unwrap(), []);
        let (one, two) = (id(), id());
        let first = Presence::enter(state, one).unwrap();
        let second = Presence::enter(state, two).unwrap();
        let mode = fs::metadata(state).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "others read the state directory");
        assert_eq!(others(state, None).unwrap().len(), 2);
        let answering = Answering {
            requests: 3,
            streams: 1,
        };
        first.ends(answering, Duration::from_mins(1));
        let [seen] = &others(state, Some(two)).unwrap()[..] else {
            panic!("not one");
        };
        assert_eq!((seen.pid, seen.requests), (std::process::id(), 3));
        assert!(seen.seconds_left.is_some_and(|left| left <= 60), "{seen:?}");
        drop((first, second));
        assert_eq!(others(state, None).unwrap(), []);
    }

    #[test]
    fn what_a_killed_process_leaves_counts_for_nothing_and_goes() {
        let state = tempfile::tempdir().unwrap();
        let killed = Presence::enter(state.path(), id()).unwrap();
        let path = killed.path.clone();
        let left = fs::read(&path).unwrap();
        drop(killed);
        fs::write(&path, left).unwrap();
        assert_eq!(others(state.path(), None).unwrap(), []);
        assert!(!path.exists());
    }
}

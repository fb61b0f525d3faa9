//! What of a plan's files would keep a gateway from starting, or from keeping bodies.
//! Nothing is made, and nothing listens.

use crate::{base::error::StartError, transport::tls::Tls};
use plan::{LogTarget, Plan};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What would keep a gateway with this plan from starting on this machine, as far as its
/// files say it.
pub fn preflight(plan: &Plan) -> Vec<StartError> {
    let mut found = Vec::new();
    for listener in &plan.gateway.listeners {
        if let Some(Err(source)) = listener.tls.as_ref().map(Tls::new) {
            found.push(StartError::Tls {
                address: listener.address.clone(),
                source: Box::new(source),
            });
        }
    }
    if let Some(log) = &plan.gateway.observe.access_log
        && let LogTarget::File(path) = &log.to
        && let Err(source) = may_append(path)
    {
        found.push(StartError::AccessLog {
            path: path.clone(),
            source,
        });
    }
    found
}

/// The directory in which no body can be kept, and why.
pub fn unusable_buffers(plan: &Plan) -> Option<(PathBuf, io::Error)> {
    let directory = plan.gateway.buffering.directory.clone();
    let directory = directory.unwrap_or_else(std::env::temp_dir);
    let error = tempfile::tempfile_in(&directory).err()?;
    Some((directory, error))
}

/// Whether a file can be written to its end, or be made.
fn may_append(path: &Path) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        // To open a pipe would wait for its reader.
        return Ok(());
    }
    match fs::OpenOptions::new().append(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let directory = path.parent().filter(|parent| *parent != Path::new(""));
            tempfile::tempfile_in(directory.unwrap_or(Path::new("."))).map(drop)
        }
        other => other.map(drop),
    }
}

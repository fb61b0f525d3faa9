//! Why the journal cannot be used.

use plan::ExtractionName;
use std::path::PathBuf;

/// The journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Somebody else has it.
    #[error(
        "the journal {0} is in use by another `banyan serve`. Stop that one, or give this one a \
         state directory of its own with --state"
    )]
    InUse(PathBuf),
    /// Another conductor has taken charge of the databases.
    #[error("{0}")]
    Superseded(String),
    /// Another conductor is in charge of the databases; nothing was changed.
    #[error("{0}")]
    InCharge(String),
    /// Another conductor has been in charge since this journal was written;
    /// nothing was changed.
    #[error("{0}")]
    OldState(String),
    /// It cannot be read or written.
    #[error("the journal {path} cannot be used: {source}")]
    Storage {
        /// The file.
        path: PathBuf,
        /// Why.
        source: sqlx::Error,
    },
    /// The directory cannot be made.
    #[error("the state directory {path} cannot be made: {source}. Give another one with --state")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The plan says another mode than the one that it was begun with.
    #[error(
        "`{extraction}` was begun with `mode: {began}` and has not ended, and the plan says \
         `mode: {planned}`. Serve the old plan once more and end it there (`banyan cancel`), or \
         give the extraction another name"
    )]
    OtherMode {
        /// Which.
        extraction: ExtractionName,
        /// The old mode.
        began: &'static str,
        /// The plan's.
        planned: &'static str,
    },
    /// The plan leaves out what has begun.
    #[error(
        "`{extraction}` is {phase}, and the plan leaves it out, so its requests would go to the \
         monolith whoever owns it. Put it back, and end it by that plan: `banyan cancel \
         {extraction}`, or `banyan finish {extraction}` once it has switched"
    )]
    LeftOut {
        /// Which.
        extraction: ExtractionName,
        /// Where it is.
        phase: &'static str,
    },
    /// An event was not written by this version or an older one.
    #[error("entry {sequence} of the journal is not readable: {problem}. Use the newer version")]
    Unreadable {
        /// Which.
        sequence: i64,
        /// Why.
        problem: String,
    },
}

impl JournalError {
    /// What whoever waits for it is told, of a journal that could not be written.
    pub(crate) fn unwritten(&self) -> String {
        format!("{self}. Make room in the state directory; what was under way goes on then")
    }
}

//! Errors of the mover's operations, worded for an operator.

pub mod cause;
mod replication;

pub use replication::ReplicationError;

use plan::{ExtractionName, TableName};
use protocol::{Epoch, Side};
use std::time::Duration;

/// An operation of the mover failed.
#[derive(Debug, thiserror::Error)]
pub enum MoverError {
    /// The server cannot be reached or refuses us.
    #[error("the {side}'s database {database} cannot be used: {reason}. {remedy}")]
    Connect {
        /// Whose database.
        side: Side,
        /// Its address, without the password.
        database: String,
        /// What the server or the network said.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A statement failed.
    #[error("the {side}'s database failed while {doing}: {}", describe(.source))]
    Sql {
        /// Whose database.
        side: Side,
        /// The step that failed.
        doing: &'static str,
        /// The server's or driver's error.
        source: tokio_postgres::Error,
    },
    /// The replication connection failed.
    #[error("the change stream of the {side} failed: {source}")]
    Stream {
        /// Whose stream.
        side: Side,
        /// The driver's error.
        source: ReplicationError,
    },
    /// Something took longer than it may.
    #[error("the {side}'s database was too slow: {doing} took longer than {limit:?}")]
    Deadline {
        /// Whose database.
        side: Side,
        /// The step that failed.
        doing: &'static str,
        /// The bound.
        limit: Duration,
    },
    /// Our role lacks rights.
    #[error("{problem}. As a superuser, run in the {side}'s database `{grants}`")]
    Rights {
        /// Whose database.
        side: Side,
        /// What failed for it.
        problem: String,
        /// What gives them.
        grants: String,
    },
    /// Somebody holds what a step of ours needs.
    #[error("{doing} at the {side} was not possible for {limit:?}, because of {by}")]
    Blocked {
        /// Whose database.
        side: Side,
        /// The step, as what is being done.
        doing: &'static str,
        /// How long it was tried.
        limit: Duration,
        /// Who, with what ends them.
        by: String,
    },
    /// A table was changed while it was followed: everything is opened anew.
    #[error("the {side}'s table {table} was changed; looking at it again")]
    Reshaped {
        /// Whose table.
        side: Side,
        /// Its name.
        table: TableName,
    },
    /// Another conductor has claimed the ownership row.
    #[error(
        "extraction `{extraction}` on the {side}'s side was taken over by another conductor \
         (generation {found}, ours {ours}). Stop this one, or restart it to take charge again"
    )]
    Superseded {
        /// Which extraction.
        extraction: ExtractionName,
        /// On which side.
        side: Side,
        /// The row's generation.
        found: u64,
        /// Our claim's.
        ours: u64,
    },
    /// The ownership row is older than our claim on it.
    #[error(
        "the {side}'s ownership row of extraction `{extraction}` is older than the claim on it \
         (generation {found}, ours {ours}): its database was restored from a backup. Run `banyan \
         recopy {extraction}`, which takes charge anew where the owner is the same"
    )]
    WentBack {
        /// Which extraction.
        extraction: ExtractionName,
        /// On which side.
        side: Side,
        /// The row's generation.
        found: u64,
        /// Our claim's.
        ours: u64,
    },
    /// The ownership row is not the one that is worked on any more.
    #[error(
        "extraction `{extraction}`: the {side}'s ownership row {found}: another conductor has \
         gone on since. It is looked anew who owns the data"
    )]
    Overtaken {
        /// Which extraction.
        extraction: ExtractionName,
        /// On which side.
        side: Side,
        /// What is there.
        found: String,
    },
    /// Another conductor is at work; nothing was changed.
    #[error(
        "extraction `{extraction}` is in charge of another `banyan serve`, which is alive: {who}. \
         Nothing was changed. Stop that one first; to replace it without a pause, run `banyan \
         serve --take-over` beside it, with its state directory"
    )]
    InCharge {
        /// Which extraction.
        extraction: ExtractionName,
        /// On which side, with the process, address and conductor that was found there.
        who: String,
    },
    /// The row is not what the step needs.
    #[error("extraction `{extraction}`, {side}'s side: {problem} (epoch {epoch})")]
    Row {
        /// Which extraction.
        extraction: ExtractionName,
        /// On which side.
        side: Side,
        /// The epoch asked for.
        epoch: Epoch,
        /// What is wrong.
        problem: String,
    },
    /// The data does not fit: a missing row, a changed column, an orphan.
    #[error("{object}: {problem}. {remedy}")]
    Data {
        /// Table or column.
        object: String,
        /// What is wrong; no values but key columns' names.
        problem: String,
        /// What to do.
        remedy: String,
    },
}

impl MoverError {
    /// Wraps a statement's error.
    pub fn sql(side: Side, doing: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Sql {
            side,
            doing,
            source,
        }
    }
}

/// The stream is not what PostgreSQL sends.
pub(crate) fn damaged(problem: &str) -> MoverError {
    MoverError::Data {
        object: "the change stream".to_owned(),
        problem: problem.to_owned(),
        remedy: "Check that nothing between the servers changes bytes, and report it".to_owned(),
    }
}

/// The server's message without DETAIL, which may hold row values. Messages of
/// class 22, data exceptions, hold values themselves, after the first quote or
/// colon.
pub(crate) fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => {
            let code = db.code().code();
            let end = if code.starts_with("22") {
                db.message().find(['"', ':'])
            } else {
                None
            };
            let message = end.map_or(db.message(), |end| db.message()[..end].trim_end());
            format!("{message} (SQLSTATE {code})")
        }
        None => error.to_string(),
    }
}

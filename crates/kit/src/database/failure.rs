//! What a failed statement means to whoever asked for it.

use axum::http::StatusCode;
use tracing::{error, info, warn};

use crate::Problem;

/// Why the database did not do it. Except for `CommitUnknown`, nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The database refuses writes for now, as a standby or a fence does.
    #[error("the database refuses writes")]
    WritesClosed(#[source] sqlx::Error),
    /// The database cannot be reached, is overloaded, or took too long.
    #[error("the database is unavailable: {}", described(.0))]
    Unavailable(#[source] sqlx::Error),
    /// The connection broke while the commit was under way.
    #[error("the connection broke during a commit: {}", described(.0))]
    CommitUnknown(#[source] sqlx::Error),
    /// Anything else is a defect here or in the tables.
    #[error("a statement failed: {}", described(.0))]
    Defect(#[source] sqlx::Error),
}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(answer) => match answer.code().as_deref() {
                Some("25006") => Self::WritesClosed(error),
                Some(code) if is_unavailable(code) => Self::Unavailable(error),
                _ => Self::Defect(error),
            },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            _ => Self::Defect(error),
        }
    }
}

impl DatabaseError {
    /// An error of the commit itself. One that PostgreSQL answered means that
    /// it rolled back, except when it went down while it answered.
    pub fn of_commit(error: sqlx::Error) -> Self {
        let rolled_back = match &error {
            sqlx::Error::Database(answer) => {
                !answer.code().is_some_and(|code| code.starts_with("57P"))
            }
            _ => false,
        };
        if rolled_back {
            error.into()
        } else {
            Self::CommitUnknown(error)
        }
    }
}

/// A request that met it. Logs it: this is where it ends.
impl From<DatabaseError> for Problem {
    fn from(error: DatabaseError) -> Self {
        match &error {
            DatabaseError::WritesClosed(_) => {
                info!("the database refused a write");
                Self::unavailable("Writes are closed for a moment. Nothing was stored; try again.")
            }
            DatabaseError::Unavailable(_) => {
                warn!(%error, "a request failed");
                Self::unavailable("The database is unavailable. Nothing was stored; try again.")
            }
            DatabaseError::CommitUnknown(_) => {
                warn!(%error, "a request failed");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "outcome-unknown",
                    "The database was lost while it stored this. Look whether it is there, or \
                     send it again with the same Idempotency-Key.",
                )
            }
            DatabaseError::Defect(_) => {
                error!(%error, "a request failed");
                Self::internal()
            }
        }
    }
}

/// Connection exceptions, too many connections, shutdown, statement timeout
/// and lock timeout.
fn is_unavailable(sqlstate: &str) -> bool {
    sqlstate.starts_with("08")
        || sqlstate.starts_with("57P")
        || matches!(sqlstate, "53300" | "57014" | "55P03")
}

/// The error for the log. Messages about data (classes 22 and 23) may quote
/// it, so of these only the names are told.
fn described(error: &sqlx::Error) -> String {
    let sqlx::Error::Database(answer) = error else {
        return error.to_string();
    };
    let answer: &dyn sqlx::error::DatabaseError = answer.as_ref();
    let code = answer.code().unwrap_or_default().into_owned();
    if code.starts_with("22") || code.starts_with("23") {
        let table = answer.table().unwrap_or("?");
        let constraint = answer.constraint().unwrap_or("?");
        return format!("SQLSTATE {code}, table {table}, constraint {constraint}");
    }
    format!("SQLSTATE {code}: {}", answer.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_apart() {
        let unavailable = |error: sqlx::Error| {
            matches!(DatabaseError::from(error), DatabaseError::Unavailable(_))
        };
        assert!(unavailable(sqlx::Error::PoolTimedOut));
        assert!(unavailable(sqlx::Error::Io(
            std::io::ErrorKind::ConnectionReset.into()
        )));
        assert!(!unavailable(sqlx::Error::RowNotFound));
        let lost = sqlx::Error::Io(std::io::ErrorKind::BrokenPipe.into());
        assert!(matches!(
            DatabaseError::of_commit(lost),
            DatabaseError::CommitUnknown(_)
        ));
        for code in ["08006", "57P01", "53300", "57014", "55P03"] {
            assert!(is_unavailable(code), "{code}");
        }
        for code in ["25006", "23505", "42501", "40001"] {
            assert!(!is_unavailable(code), "{code}");
        }
    }
}

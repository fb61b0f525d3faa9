//! What has happened to accounts: a log that only grows, hash-chained by the
//! kit's ledger. It holds numbers of users and addresses, no names.

use std::net::IpAddr;

use kit::Problem;
use kit::ledger::{self, ExpectedVersion, LedgerError};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

/// The stream's name.
pub const STREAM: &str = "audit";

/// What happened. Its JSON is kept for ever: add variants and fields, change
/// none.
#[derive(Debug, Clone, Serialize)]
pub(crate) enum Event {
    Registered {
        user: i32,
        address: Option<IpAddr>,
    },
    LoggedIn {
        user: i32,
        session: Uuid,
        address: Option<IpAddr>,
    },
    /// `user` is null where nobody was meant.
    LoginFailed {
        user: Option<i32>,
        address: Option<IpAddr>,
    },
    /// The first attempt that was one too many.
    Throttled {
        address: Option<IpAddr>,
    },
    /// A refresh token came a second time; the session has ended.
    RefreshReplayed {
        user: i32,
        session: Uuid,
        address: Option<IpAddr>,
    },
    /// The other issuer says that it goes on.
    SessionTakenOver {
        user: i32,
        session: Uuid,
    },
    /// A session in place of the other issuer's old kind of token.
    LegacyTokenExchanged {
        user: i32,
        session: Uuid,
        address: Option<IpAddr>,
    },
    LoggedOut {
        user: i32,
        session: Uuid,
    },
    PasswordChanged {
        user: i32,
        address: Option<IpAddr>,
    },
    PasswordResetRequested {
        user: Option<i32>,
        address: Option<IpAddr>,
    },
    PasswordReset {
        user: i32,
        address: Option<IpAddr>,
    },
    PasswordRehashed {
        user: i32,
    },
    EmailVerificationRequested {
        user: i32,
    },
    EmailVerified {
        user: i32,
    },
    RolesSet {
        user: i32,
        roles: Vec<String>,
        by: Author,
    },
}

/// Who changed what is somebody else's.
#[derive(Debug, Clone, Serialize)]
pub(crate) enum Author {
    /// Who showed a key, by its place in the setting.
    Key(usize),
    User(i32),
}

/// Notes it in the transaction of `connection`. Do this last: others that
/// note something wait until the transaction ends.
pub(crate) async fn note(connection: &mut PgConnection, event: Event) -> Result<(), Problem> {
    let noted = ledger::append(connection, STREAM, ExpectedVersion::Any, &[event]).await;
    noted.map(|_| ()).map_err(problem)
}

/// As a request is told.
pub(crate) fn problem(error: LedgerError) -> Problem {
    match error {
        LedgerError::Database(error) => error.into(),
        error => {
            tracing::error!(%error, "the audit log failed");
            Problem::internal()
        }
    }
}

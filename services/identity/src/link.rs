//! What is sent by e-mail to prove that somebody reads there. Kept as digests,
//! good once, for a time, and only while what they are about has not changed.

use std::time::Duration;

use kit::Problem;
use kit::database::DatabaseError;
use sqlx::PgConnection;

use crate::digest::{is_plausible, kept, random_token};
use crate::user::{self, User};

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A new password in place of one that was forgotten.
    PasswordReset,
    /// That the user reads at their address.
    EmailVerification,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::PasswordReset => "password-reset",
            Self::EmailVerification => "email-verification",
        }
    }

    fn about(self, user: &User) -> Vec<u8> {
        match self {
            Self::PasswordReset => kept(&user.password),
            Self::EmailVerification => kept(&user.email),
        }
    }
}

/// A new one. For nobody it is one that nobody learns of: so that the work is
/// the same.
pub(crate) async fn issue(
    connection: &mut PgConnection,
    purpose: Purpose,
    user: Option<&User>,
    lifetime: Duration,
) -> Result<String, Problem> {
    let token = random_token()?;
    sqlx::query(
        "insert into link (digest, purpose, user_id, bound, expires_at) \
         values ($1, $2, $3, $4, now() + make_interval(secs => $5))",
    )
    .bind(kept(&token))
    .bind(purpose.name())
    .bind(user.map(|user| user.id))
    .bind(user.map_or_else(Vec::new, |user| purpose.about(user)))
    .bind(lifetime.as_secs_f64())
    .execute(connection)
    .await
    .map_err(DatabaseError::from)?;
    Ok(token)
}

const LOOK: &str = "select user_id, bound from link \
     where digest = $1 and purpose = $2 and expires_at > now() and user_id is not null";
const REDEEM: &str = "delete from link \
     where digest = $1 and purpose = $2 and expires_at > now() and user_id is not null \
     returning user_id, bound";

/// Whose it is, without using it up.
pub(crate) async fn look(
    connection: &mut PgConnection,
    purpose: Purpose,
    token: &str,
) -> Result<User, Problem> {
    whose(connection, purpose, token, LOOK).await
}

/// Whose it is; it is good no more once the transaction commits.
pub(crate) async fn redeem(
    connection: &mut PgConnection,
    purpose: Purpose,
    token: &str,
) -> Result<User, Problem> {
    whose(connection, purpose, token, REDEEM).await
}

async fn whose(
    connection: &mut PgConnection,
    purpose: Purpose,
    token: &str,
    query: &'static str,
) -> Result<User, Problem> {
    if !is_plausible(token) {
        return Err(invalid());
    }
    let found: Option<(i32, Vec<u8>)> = sqlx::query_as(query)
        .bind(kept(token))
        .bind(purpose.name())
        .fetch_optional(&mut *connection)
        .await
        .map_err(DatabaseError::from)?;
    let (id, bound) = found.ok_or_else(invalid)?;
    let user = user::by_id(connection, id).await?;
    user.filter(|user| user.is_active && purpose.about(user) == bound)
        .ok_or_else(invalid)
}

fn invalid() -> Problem {
    Problem::new(
        http::StatusCode::BAD_REQUEST,
        "link-invalid",
        "The token is none of ours, was used, or has expired. Ask for a new one.",
    )
}

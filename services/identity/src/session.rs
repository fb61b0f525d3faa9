//! Sessions: a login on one device, and the refresh tokens that carry it on.
//!
//! A refresh token is good once and answered by the next one. One that comes a
//! second time was copied, by its owner or by a thief: the session ends for
//! both. Only digests are kept. A session also ends when the user's password
//! becomes another, here or in the monolith, as Django's sessions do.

use kit::Problem;
use kit::database::DatabaseError;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::digest::{is_plausible, kept, random_token};
use crate::user::{self, User};

/// A session with the token that carries it on.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) session: Uuid,
    pub(crate) refresh_token: String,
}

/// What a refresh token is good for.
#[derive(Debug)]
pub(crate) enum Refresh {
    /// The session goes on.
    Good { user: User, begun: Begun },
    /// It was used before; the session has ended now.
    Replayed { user: i32, session: Uuid },
    /// Nothing: its session has ended.
    Ended,
    /// Nothing: it is none of ours.
    Unknown,
}

pub(crate) async fn begin(
    connection: &mut PgConnection,
    user: &User,
    days: u32,
) -> Result<Begun, Problem> {
    let session = Uuid::new_v4();
    sqlx::query(
        "insert into session (id, user_id, password_digest, expires_at) \
         values ($1, $2, $3, now() + make_interval(days => $4))",
    )
    .bind(session)
    .bind(user.id)
    .bind(kept(&user.password))
    .bind(i32::try_from(days).unwrap_or(i32::MAX))
    .execute(&mut *connection)
    .await
    .map_err(DatabaseError::from)?;
    issue(connection, session).await
}

async fn issue(connection: &mut PgConnection, session: Uuid) -> Result<Begun, Problem> {
    let refresh_token = random_token()?;
    sqlx::query("insert into refresh_token (digest, session) values ($1, $2)")
        .bind(kept(&refresh_token))
        .bind(session)
        .execute(connection)
        .await
        .map_err(DatabaseError::from)?;
    Ok(Begun {
        session,
        refresh_token,
    })
}

/// Uses a refresh token up. Of many that come at once one is first; the others
/// wait for it and are replays. Commit also what is refused.
pub(crate) async fn refresh(
    connection: &mut PgConnection,
    token: &str,
    days: u32,
) -> Result<Refresh, Problem> {
    if !is_plausible(token) {
        return Ok(Refresh::Unknown);
    }
    let first_use: Option<Uuid> = sqlx::query_scalar(
        "update refresh_token set used_at = now() where digest = $1 and used_at is null \
         returning session",
    )
    .bind(kept(token))
    .fetch_optional(&mut *connection)
    .await
    .map_err(DatabaseError::from)?;
    let Some(session) = first_use else {
        return Ok(replay(connection, token).await?);
    };
    let Some(user) = owner(connection, session).await? else {
        end(connection, session, "user").await?;
        return Ok(Refresh::Ended);
    };
    sqlx::query("update session set expires_at = now() + make_interval(days => $2) where id = $1")
        .bind(session)
        .bind(i32::try_from(days).unwrap_or(i32::MAX))
        .execute(&mut *connection)
        .await
        .map_err(DatabaseError::from)?;
    let begun = issue(connection, session).await?;
    Ok(Refresh::Good { user, begun })
}

async fn replay(connection: &mut PgConnection, token: &str) -> Result<Refresh, DatabaseError> {
    let known: Option<(Uuid, i32, bool)> = sqlx::query_as(
        "select s.id, s.user_id, s.ended_at is null from refresh_token t \
         join session s on s.id = t.session where t.digest = $1",
    )
    .bind(kept(token))
    .fetch_optional(&mut *connection)
    .await?;
    match known {
        None => Ok(Refresh::Unknown),
        Some((_, _, false)) => Ok(Refresh::Ended),
        Some((session, user, true)) => {
            end(connection, session, "replay").await?;
            Ok(Refresh::Replayed { user, session })
        }
    }
}

/// Whose session it is, if it goes on: the user may be there no more, or may
/// not log in any more, or have another password.
pub(crate) async fn owner(
    connection: &mut PgConnection,
    session: Uuid,
) -> Result<Option<User>, DatabaseError> {
    let found: Option<(i32, Vec<u8>)> = sqlx::query_as(
        "select user_id, password_digest from session \
         where id = $1 and ended_at is null and expires_at > now()",
    )
    .bind(session)
    .fetch_optional(&mut *connection)
    .await?;
    let Some((user, password)) = found else {
        return Ok(None);
    };
    let user = user::by_id(connection, user).await?;
    Ok(user.filter(|user| user.is_active && kept(&user.password) == password))
}

/// Ends a session, unless it has ended.
pub(crate) async fn end(
    connection: &mut PgConnection,
    session: Uuid,
    by: &'static str,
) -> Result<bool, DatabaseError> {
    let ended = sqlx::query(
        "update session set ended_at = now(), ended_by = $2 where id = $1 and ended_at is null",
    )
    .bind(session)
    .bind(by)
    .execute(connection)
    .await?;
    Ok(ended.rows_affected() == 1)
}

/// Ends all sessions of a user but one.
pub(crate) async fn end_others(
    connection: &mut PgConnection,
    user: i32,
    kept_one: Option<Uuid>,
    by: &'static str,
) -> Result<(), DatabaseError> {
    sqlx::query(
        "update session set ended_at = now(), ended_by = $3 \
         where user_id = $1 and ended_at is null and id is distinct from $2",
    )
    .bind(user)
    .bind(kept_one)
    .bind(by)
    .execute(connection)
    .await?;
    Ok(())
}

/// Lets the sessions of a user that go on, do so with a password that is only
/// written anew.
pub(crate) async fn carry_over(
    connection: &mut PgConnection,
    user: &User,
    password: &str,
) -> Result<(), DatabaseError> {
    sqlx::query(
        "update session set password_digest = $3 \
         where user_id = $1 and password_digest = $2 and ended_at is null",
    )
    .bind(user.id)
    .bind(kept(&user.password))
    .bind(kept(password))
    .execute(connection)
    .await?;
    Ok(())
}

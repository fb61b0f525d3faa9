//! Sessions: a login on one device, and the refresh tokens that carry it on.
//!
//! A refresh token is good once and answered by the next one. One that comes a
//! second time was copied, by its owner or by a thief: the session ends for
//! both. Only digests are kept. A session also ends when the user's password
//! becomes another, here or in the monolith, as Django's sessions do.
//!
//! The other issuer of sessions for the same users may know a session as well:
//! then either carries it on, and either ends it for both.

use std::time::Duration;

use kit::Problem;
use kit::database::DatabaseError;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::digest::{kept, random_token};
use crate::legacy::{KnownSession, SessionReport};
use crate::user::{self, User};

/// Whoever has claimed a token answers for it within `ANSWERED_WITHIN`, or not
/// at all. Only a claim that is older than `CLAIM_FRESH` can be taken back: so
/// never do both answer for one token.
pub(crate) const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
const CLAIM_FRESH: Duration = Duration::from_mins(1);

/// A session with the token that carries it on.
#[derive(Debug)]
pub(crate) struct IssuedSession {
    pub(crate) session: Uuid,
    pub(crate) refresh_token: String,
}

/// Whether a session goes on.
#[derive(Debug)]
pub(crate) enum SessionState {
    /// It does.
    Active(User),
    /// It was ended.
    Ended,
    /// Not as far as we know: it is not here, or is late, or its user is not
    /// here, or may not log in, or has another password.
    Unconfirmed,
}

/// What became of a session that the other issuer tells of.
#[derive(Debug)]
pub(crate) enum TakeOver {
    /// It goes on; whether we have not known that.
    Active { user: User, is_news: bool },
    /// It is over, here or there.
    Ended,
    /// It goes on there, with another password than the user has here: one of
    /// us is behind.
    Unconfirmed,
}

/// A refresh token that is known.
#[derive(Debug, FromRow)]
pub(crate) struct RefreshToken {
    pub(crate) session: Uuid,
    pub(crate) claim: Claim,
    is_used: bool,
}

/// What the other issuer has done with a refresh token of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub(crate) enum Claim {
    None,
    /// It has used it up, and may be about to answer for it.
    Fresh,
    /// So long ago that it has answered for it, or never will.
    Old,
}

pub(crate) async fn begin(
    connection: &mut PgConnection,
    user: &User,
    days: u32,
) -> Result<IssuedSession, Problem> {
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

async fn issue(connection: &mut PgConnection, session: Uuid) -> Result<IssuedSession, Problem> {
    let refresh_token = random_token()?;
    sqlx::query("insert into refresh_token (digest, session) values ($1, $2)")
        .bind(kept(&refresh_token))
        .bind(session)
        .execute(connection)
        .await
        .map_err(DatabaseError::from)?;
    Ok(IssuedSession {
        session,
        refresh_token,
    })
}

/// What is known of a refresh token; it cannot change until the transaction ends.
pub(crate) async fn token(
    connection: &mut PgConnection,
    token: &str,
) -> Result<Option<RefreshToken>, DatabaseError> {
    let found = sqlx::query_as(
        "select session, used_at is not null as is_used, case when not is_claimed then 'none' \
           when used_at > now() - make_interval(secs => $2) then 'fresh' else 'old' end as claim \
         from refresh_token where digest = $1 for update",
    )
    .bind(kept(token))
    .bind(CLAIM_FRESH.as_secs_f64());
    Ok(found.fetch_optional(connection).await?)
}

/// Uses a refresh token of a session up, be it ours or one that the other
/// issuer gave us. Of many that come at once one is first; the others wait for
/// it and are replays.
pub(crate) async fn use_up(
    connection: &mut PgConnection,
    token: &str,
    session: Uuid,
) -> Result<bool, DatabaseError> {
    let used = sqlx::query(
        "insert into refresh_token as t (digest, session, used_at) values ($1, $2, now()) \
         on conflict (digest) do update set used_at = now(), is_claimed = false \
         where t.used_at is null \
           or t.is_claimed and t.used_at <= now() - make_interval(secs => $3)",
    )
    .bind(kept(token))
    .bind(session)
    .bind(CLAIM_FRESH.as_secs_f64())
    .execute(connection)
    .await?;
    Ok(used.rows_affected() == 1)
}

/// Lets a session last longer, by a new refresh token.
pub(crate) async fn carry_on(
    connection: &mut PgConnection,
    session: Uuid,
    days: u32,
) -> Result<IssuedSession, Problem> {
    sqlx::query("update session set expires_at = now() + make_interval(days => $2) where id = $1")
        .bind(session)
        .bind(i32::try_from(days).unwrap_or(i32::MAX))
        .execute(&mut *connection)
        .await
        .map_err(DatabaseError::from)?;
    issue(connection, session).await
}

/// Whether a session goes on, and whose it is.
pub(crate) async fn session_state(
    connection: &mut PgConnection,
    session: Uuid,
) -> Result<SessionState, DatabaseError> {
    let found: Option<(i32, Vec<u8>, bool, bool)> = sqlx::query_as(
        "select user_id, password_digest, ended_at is not null, expires_at > now() \
         from session where id = $1",
    )
    .bind(session)
    .fetch_optional(&mut *connection)
    .await?;
    let (user, password) = match found {
        Some((_, _, true, _)) => return Ok(SessionState::Ended),
        None | Some((_, _, _, false)) => return Ok(SessionState::Unconfirmed),
        Some((user, password, false, true)) => (user, password),
    };
    let user = user::by_id(connection, user).await?;
    let user = user.filter(|user| user.is_active && kept(&user.password) == password);
    Ok(user.map_or(SessionState::Unconfirmed, SessionState::Active))
}

/// What the other issuer is told of a session. It is told of its end, then.
pub(crate) async fn told(
    connection: &mut PgConnection,
    session: Uuid,
) -> Result<SessionReport, DatabaseError> {
    let found: Option<(i32, String, i64, bool)> = sqlx::query_as(
        "update session set is_shared = true where id = $1 returning user_id, \
         encode(password_digest, 'hex'), extract(epoch from expires_at)::bigint, \
         ended_at is not null or expires_at <= now()",
    )
    .bind(session)
    .fetch_optional(&mut *connection)
    .await?;
    let (user, password_digest, expires_at) = match found {
        None => return Ok(SessionReport::Unknown),
        Some((_, _, _, true)) => return Ok(SessionReport::Ended),
        Some((user, digest, expires_at, false)) => (user, digest, expires_at),
    };
    let is_current = matches!(
        session_state(connection, session).await?,
        SessionState::Active(_)
    );
    Ok(SessionReport::Good(KnownSession {
        session,
        user,
        password_digest,
        expires_at,
        is_current,
    }))
}

/// Uses a refresh token of ours up for the other issuer, as often as it asks.
pub(crate) async fn claim(
    connection: &mut PgConnection,
    text: &str,
) -> Result<SessionReport, DatabaseError> {
    let Some(token) = token(connection, text).await? else {
        return Ok(SessionReport::Unknown);
    };
    let session = token.session;
    if token.is_used && token.claim == Claim::None {
        let has_ended = end(connection, session, "replay").await?;
        return Ok(if has_ended {
            SessionReport::Replayed { session }
        } else {
            SessionReport::Ended
        });
    }
    let told = told(connection, session).await?;
    if !matches!(told, SessionReport::Good(_)) {
        return Ok(told);
    }
    sqlx::query("update refresh_token set used_at = now(), is_claimed = true where digest = $1")
        .bind(kept(text))
        .execute(connection)
        .await?;
    Ok(told)
}

/// Lets a session that the other issuer tells of go on here, too.
pub(crate) async fn take_over(
    connection: &mut PgConnection,
    known: &KnownSession,
) -> Result<TakeOver, DatabaseError> {
    match session_state(connection, known.session).await? {
        SessionState::Active(user) => {
            let is_news = false;
            return Ok(TakeOver::Active { user, is_news });
        }
        SessionState::Ended => return Ok(TakeOver::Ended),
        SessionState::Unconfirmed if !known.is_current => return Ok(TakeOver::Ended),
        SessionState::Unconfirmed => {}
    }
    let user = user::by_id(connection, known.user).await?;
    let user = user.filter(|user| {
        user.is_active && hex::encode(kept(&user.password)) == known.password_digest
    });
    let Some(user) = user else {
        return Ok(TakeOver::Unconfirmed);
    };
    let taken = sqlx::query(
        "insert into session as s (id, user_id, password_digest, expires_at, is_shared) \
         values ($1, $2, $3, to_timestamp($4::bigint), true) \
         on conflict (id) do update set password_digest = excluded.password_digest, \
           expires_at = greatest(s.expires_at, excluded.expires_at), is_shared = true \
         where s.ended_at is null and s.user_id = excluded.user_id",
    )
    .bind(known.session)
    .bind(user.id)
    .bind(kept(&user.password))
    .bind(known.expires_at)
    .execute(connection)
    .await?;
    Ok(match taken.rows_affected() {
        1 => TakeOver::Active {
            user,
            is_news: true,
        },
        _ => TakeOver::Ended,
    })
}

/// Whether the other issuer is to be told when a session ends.
pub(crate) async fn is_shared(
    connection: &mut PgConnection,
    session: Uuid,
) -> Result<bool, DatabaseError> {
    let query = "select coalesce(bool_or(is_shared), false) from session where id = $1";
    let found = sqlx::query_scalar(query).bind(session);
    Ok(found.fetch_one(connection).await?)
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

/// Ends a session that the other issuer has ended. One that is not here may be
/// on its way: it must not go on once it has come.
pub(crate) async fn end_elsewhere(
    connection: &mut PgConnection,
    session: Uuid,
    days: u32,
) -> Result<(), DatabaseError> {
    sqlx::query(
        "insert into session as s \
           (id, user_id, password_digest, expires_at, ended_at, ended_by, is_shared) \
         values ($1, 0, '', now() + make_interval(days => $2), now(), 'elsewhere', true) \
         on conflict (id) do update set ended_at = excluded.ended_at, ended_by = excluded.ended_by \
         where s.ended_at is null",
    )
    .bind(session)
    .bind(i32::try_from(days).unwrap_or(i32::MAX))
    .execute(connection)
    .await?;
    Ok(())
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

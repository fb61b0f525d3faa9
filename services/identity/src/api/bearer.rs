//! Tokens in `Authorization: Bearer`, and whose they are.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kit::Problem;
use uuid::Uuid;

use super::{Shared, sessions};
use crate::user::{self, User};

/// A token of any kind, as it was shown.
pub(super) struct Bearer(pub(super) String);

/// A session that goes on, by its access token.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: Uuid,
    pub(super) user: User,
}

impl Bearer {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        shown(headers).map(|token| Self(token.to_owned()))
    }
}

impl FromRequestParts<Arc<Shared>> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let token = shown(&parts.headers)?;
        let id = shared.tokens.session(token).await?;
        let user = sessions::find(shared, id).await?.ok_or_else(ended)?;
        Ok(Self { id, user })
    }
}

/// Whoever shows a token of a session, or one of the other issuer's old kind,
/// which has no session.
pub(super) struct Holder(pub(super) User);

impl FromRequestParts<Arc<Shared>> for Holder {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        if let Some(user) = legacy_holder(&parts.headers, shared).await? {
            return Ok(Self(user));
        }
        let Session { user, .. } = Session::from_request_parts(parts, shared).await?;
        Ok(Self(user))
    }
}

/// Whose token of the other issuer's old kind is shown, if one is.
pub(super) async fn legacy_holder(
    headers: &HeaderMap,
    shared: &Shared,
) -> Result<Option<User>, Problem> {
    let value = headers.get(header::AUTHORIZATION);
    let Some((scheme, token)) = value.and_then(|value| value.to_str().ok()?.split_once(' ')) else {
        return Ok(None);
    };
    if !scheme.eq_ignore_ascii_case("token")
        || headers.get_all(header::AUTHORIZATION).iter().count() > 1
    {
        return Ok(None);
    }
    let unknown = || refused("token-unknown", "The token is none of ours.");
    let id = shared
        .legacy
        .holder(token.trim())
        .await?
        .ok_or_else(unknown)?;
    let user = user::by_id(&mut *shared.connection().await?, id).await?;
    let user = user.ok_or_else(sessions::unconfirmed)?;
    user.is_active.then_some(user).ok_or_else(ended).map(Some)
}

fn shown(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let value = match (all.next(), all.next()) {
        (Some(value), None) => value,
        (None, _) => return Err(missing()),
        (Some(_), Some(_)) => {
            let detail = "The header Authorization is there more than once.";
            return Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "malformed-request",
                detail,
            ));
        }
    };
    match value.to_str().unwrap_or_default().split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(missing()),
    }
}

fn missing() -> Problem {
    let detail = "Show a token in `Authorization: Bearer`.";
    Problem::new(StatusCode::UNAUTHORIZED, "credential-missing", detail)
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

/// A token that is or was a good one, of a session that is over.
pub(super) fn ended() -> Problem {
    refused("session-ended", "The session has ended. Log in again.")
}

/// A token that is not good.
pub(super) fn refused(kind: &'static str, detail: &'static str) -> Problem {
    let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
    Problem::new(StatusCode::UNAUTHORIZED, kind, detail)
        .with_header(header::WWW_AUTHENTICATE, challenge)
}

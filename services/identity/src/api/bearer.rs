//! Tokens in `Authorization: Bearer`, and whose they are.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kit::Problem;
use uuid::Uuid;

use super::Shared;
use crate::session;
use crate::user::User;

/// A token of any kind, as it was shown.
pub(super) struct Bearer(pub(super) String);

/// A session that goes on, by its access token.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: Uuid,
    pub(super) user: User,
}

impl<S: Sync> FromRequestParts<S> for Bearer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        shown(&parts.headers).map(|token| Self(token.to_owned()))
    }
}

impl FromRequestParts<Arc<Shared>> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let token = shown(&parts.headers)?;
        let id = shared.tokens.session(token).await?;
        let mut connection = shared.connection().await?;
        let user = session::owner(&mut connection, id).await?;
        let user = user.ok_or_else(ended)?;
        Ok(Self { id, user })
    }
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

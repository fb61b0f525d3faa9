//! Whose token a request presents.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, header};
use kit::Problem;
use uuid::Uuid;

use super::bearer::{ended, presented, refused};
use super::sessions;
use super::state::AppState;
use crate::user::{self, User};

/// A session that goes on, by its access token.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: Uuid,
    pub(super) user: User,
}

impl FromRequestParts<Arc<AppState>> for Session {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        shared: &Arc<AppState>,
    ) -> Result<Self, Problem> {
        let token = presented(&parts.headers)?;
        let id = shared.tokens.session(token).await?;
        let user = sessions::find(shared, id).await?.ok_or_else(ended)?;
        Ok(Self { id, user })
    }
}

/// Whoever presents a token of a session, or one of the other issuer's old kind,
/// which has no session.
pub(super) struct Holder(pub(super) User);

impl FromRequestParts<Arc<AppState>> for Holder {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        shared: &Arc<AppState>,
    ) -> Result<Self, Problem> {
        if let Some(user) = legacy_holder(&parts.headers, shared).await? {
            return Ok(Self(user));
        }
        let Session { user, .. } = Session::from_request_parts(parts, shared).await?;
        Ok(Self(user))
    }
}

/// Whose token of the other issuer's old kind is presented, if one is.
pub(super) async fn legacy_holder(
    headers: &HeaderMap,
    shared: &AppState,
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

//! Who calls: by API key, by a user's token, or by another service's token.
//!
//! A handler says whom it takes by what it extracts: [`ApiKey`], [`User`],
//! [`Peer`], or any of them as [`Caller`]; `Option<_>` of each also takes a
//! request that shows nothing. What is shown and wrong is always refused, also
//! where nothing would have done. Where a service has no keys set, nobody
//! passes.

mod bearer;
mod issuer;
mod peers;
mod users;

use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use serde_json::{Map, Value};

pub use bearer::BadToken;
pub(crate) use issuer::keep as keep_keys;
pub use peers::PeerTokens;
pub use users::UserTokens;

use crate::Identity;
use crate::problem::Problem;
use crate::settings::{Secrets, Server};

/// Where an API key is shown.
pub const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Where a service shows its token; beside a user's in `Authorization`, on
/// whose behalf it may call.
pub const SERVICE_TOKEN: HeaderName = HeaderName::from_static("x-service-token");

/// A request that showed a key of this service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiKey {
    /// Which one, in the order of the setting, from 0.
    pub position: usize,
}

/// A user, as the issuer of their token says.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// Who: the token's `sub`.
    pub subject: String,
    /// What they are: the token's `roles`.
    pub roles: Vec<String>,
    /// Everything that the token says.
    pub claims: Map<String, Value>,
}

impl User {
    /// Refuses who does not have this role.
    pub fn require_role(&self, role: &str) -> Result<(), Problem> {
        if self.roles.iter().any(|one| one == role) {
            return Ok(());
        }
        Err(Problem::forbidden(
            "The user does not have the role that this needs.",
        ))
    }
}

/// Another service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub service: String,
}

/// Any who may call.
#[derive(Debug, Clone, PartialEq)]
pub enum Caller {
    /// By API key.
    Key(ApiKey),
    /// By a user's token.
    User(User),
    /// By another service's token.
    Service(Peer),
}

/// What a service knows about those who call it.
#[derive(Debug)]
pub(crate) struct Guards {
    keys: Option<Secrets>,
    users: Arc<UserTokens>,
    peers: PeerTokens,
}

impl Guards {
    pub(crate) fn new(identity: Identity, settings: &Server, users: Arc<UserTokens>) -> Self {
        Self {
            keys: settings.api_keys.clone(),
            users,
            peers: PeerTokens::new(identity.name, settings.service_secrets.clone()),
        }
    }

    fn api_key(&self, headers: &HeaderMap) -> Result<Option<ApiKey>, Problem> {
        let Some(given) = only(headers, &API_KEY)? else {
            return Ok(None);
        };
        let known = self.keys.as_ref();
        match known.and_then(|keys| keys.position(given.as_bytes())) {
            Some(position) => Ok(Some(ApiKey { position })),
            None => Err(unauthorized(
                "key-unknown",
                "The key in X-API-Key is not known.",
            )),
        }
    }

    async fn user(&self, headers: &HeaderMap) -> Result<Option<User>, Problem> {
        let Some(given) = only(headers, &header::AUTHORIZATION)? else {
            return Ok(None);
        };
        let text = given.to_str().unwrap_or_default();
        let token = match text.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            // Another scheme is none that we were shown.
            Some(_) => return Ok(None),
            None => "",
        };
        self.users.verify(token).await.map(Some).map_err(Into::into)
    }

    fn peer(&self, request: &Guarded, headers: &HeaderMap) -> Result<Option<Peer>, Problem> {
        let Some(given) = only(headers, &SERVICE_TOKEN)? else {
            return Ok(None);
        };
        let token = given.to_str().unwrap_or_default();
        let verified = self
            .peers
            .verify(token, &request.method, request.uri.path());
        verified.map(Some).map_err(Into::into)
    }
}

/// What extractors need of a request: nested routers see only a part of it.
#[derive(Debug, Clone)]
pub(crate) struct Guarded {
    pub(crate) guards: Arc<Guards>,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
}

fn guarded(parts: &Parts) -> Result<Guarded, Problem> {
    parts.extensions.get::<Guarded>().cloned().ok_or_else(|| {
        tracing::error!("a guarded route is served by something else than the kit");
        Problem::internal()
    })
}

/// One value; more than one is more than anybody meant.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Problem> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (first, None) => Ok(first),
        _ => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "malformed-request",
            format!("The header {name} is there more than once."),
        )),
    }
}

fn unauthorized(kind: &'static str, detail: &'static str) -> Problem {
    let challenge = HeaderValue::from_static("Bearer");
    Problem::new(StatusCode::UNAUTHORIZED, kind, detail)
        .with_header(header::WWW_AUTHENTICATE, challenge)
}

fn nothing_shown() -> Problem {
    unauthorized(
        "credential-missing",
        "Show an API key or a token, of the kind that this address takes.",
    )
}

impl From<BadToken> for Problem {
    fn from(bad: BadToken) -> Self {
        if bad == BadToken::KeysUnavailable {
            return Self::new(StatusCode::SERVICE_UNAVAILABLE, bad.kind(), bad.to_string())
                .retry_after(crate::problem::RETRY_SECONDS);
        }
        let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
        Self::new(StatusCode::UNAUTHORIZED, bad.kind(), bad.to_string())
            .with_header(header::WWW_AUTHENTICATE, challenge)
    }
}

/// Both extractors of a kind of caller, from the one that may find nobody.
macro_rules! extractors {
    ($($type:ident by |$guarded:ident, $headers:ident| $find:expr;)*) => {$(
        impl<S: Send + Sync> OptionalFromRequestParts<S> for $type {
            type Rejection = Problem;

            async fn from_request_parts(
                parts: &mut Parts,
                _: &S,
            ) -> Result<Option<Self>, Problem> {
                let ($guarded, $headers) = (guarded(parts)?, &parts.headers);
                $find
            }
        }

        impl<S: Send + Sync> FromRequestParts<S> for $type {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
                let found = <Self as OptionalFromRequestParts<S>>::from_request_parts(parts, state);
                found.await?.ok_or_else(nothing_shown)
            }
        }
    )*};
}

extractors! {
    ApiKey by |request, headers| request.guards.api_key(headers);
    User by |request, headers| request.guards.user(headers).await;
    Peer by |request, headers| request.guards.peer(&request, headers);
    Caller by |request, headers| {
        let guards = &request.guards;
        // All that is shown is looked at: nothing wrong passes beside
        // something good. The most particular one is the caller.
        let key = guards.api_key(headers)?.map(Caller::Key);
        let peer = guards.peer(&request, headers)?.map(Caller::Service);
        let user = guards.user(headers).await?.map(Caller::User);
        Ok(user.or(peer).or(key))
    };
}

//! Who calls: by API key, by a user's token, or by another service's token.
//!
//! A handler says whom it takes by what it extracts: [`ApiKey`], [`User`],
//! [`Peer`], or any of them as [`Caller`]; `Option<_>` of each also takes a
//! request without credentials. A wrong credential is always refused, also
//! where none would have done. A service without
//! keys refuses every caller.

mod caller;
mod peers;
mod token;
mod users;

use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};

pub use caller::{ApiKey, Caller, Peer, User};
pub use peers::PeerTokens;
pub use token::BadToken;
pub use users::UserTokens;

use crate::Identity;
use crate::problem::Problem;
use crate::settings::{Secrets, Server};

/// The header of an API key.
pub const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The header of a service's token; beside a user's in `Authorization`, on
/// whose behalf it may call.
pub const SERVICE_TOKEN: HeaderName = HeaderName::from_static("x-service-token");

/// Verifies the credentials of callers.
#[derive(Debug)]
pub(crate) struct Authenticator {
    keys: Option<Secrets>,
    users: Arc<UserTokens>,
    peers: PeerTokens,
}

impl Authenticator {
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
            // Credentials of another scheme are not ours to judge.
            Some(_) => return Ok(None),
            None => "",
        };
        self.users.verify(token).await.map(Some).map_err(Into::into)
    }

    fn peer(&self, request: &AuthContext, headers: &HeaderMap) -> Result<Option<Peer>, Problem> {
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
pub(crate) struct AuthContext {
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
}

fn auth_context(parts: &Parts) -> Result<AuthContext, Problem> {
    parts
        .extensions
        .get::<AuthContext>()
        .cloned()
        .ok_or_else(|| {
            tracing::error!("a route with authentication is served by something else than the kit");
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

fn credential_missing() -> Problem {
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

/// Both extractors of a kind of caller, from the optional one.
macro_rules! extractors {
    ($($type:ident by |$auth_context:ident, $headers:ident| $find:expr;)*) => {$(
        impl<S: Send + Sync> OptionalFromRequestParts<S> for $type {
            type Rejection = Problem;

            async fn from_request_parts(
                parts: &mut Parts,
                _: &S,
            ) -> Result<Option<Self>, Problem> {
                let ($auth_context, $headers) = (auth_context(parts)?, &parts.headers);
                $find
            }
        }

        impl<S: Send + Sync> FromRequestParts<S> for $type {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
                let found = <Self as OptionalFromRequestParts<S>>::from_request_parts(parts, state);
                found.await?.ok_or_else(credential_missing)
            }
        }
    )*};
}

extractors! {
    ApiKey by |request, headers| request.authenticator.api_key(headers);
    User by |request, headers| request.authenticator.user(headers).await;
    Peer by |request, headers| request.authenticator.peer(&request, headers);
    Caller by |request, headers| {
        let authenticator = &request.authenticator;
        // Every credential is verified: nothing wrong passes beside
        // something good. The most particular one is the caller.
        let key = authenticator.api_key(headers)?.map(Caller::Key);
        let peer = authenticator.peer(&request, headers)?.map(Caller::Service);
        let user = authenticator.user(headers).await?.map(Caller::User);
        Ok(user.or(peer).or(key))
    };
}

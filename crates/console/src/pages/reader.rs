//! Who reads a page: by the cookie of their sign-in.

use super::frame::PageError;
use crate::{
    session::{Session, Sessions},
    state::{Console, Person},
};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use std::sync::Arc;

/// The cookie of a sign-in.
const COOKIE: &str = "banyan_console";

/// How long a browser keeps it: as long as a session lasts.
const COOKIE_SECONDS: u32 = 12 * 60 * 60;

/// Somebody who is signed in and known to the API.
pub(crate) struct SignedIn {
    pub(crate) session: Arc<Session>,
    pub(crate) person: Person,
}

impl SignedIn {
    pub(crate) fn bearer(&self) -> &str {
        &self.session.bearer
    }
}

/// Somebody whose page asks by itself: that keeps nobody signed in.
pub(crate) struct Onlooker(pub(crate) SignedIn);

impl FromRequestParts<Console> for SignedIn {
    type Rejection = PageError;

    async fn from_request_parts(
        parts: &mut Parts,
        console: &Console,
    ) -> Result<Self, Self::Rejection> {
        known(parts, console, Sessions::find).await
    }
}

impl FromRequestParts<Console> for Onlooker {
    type Rejection = PageError;

    async fn from_request_parts(
        parts: &mut Parts,
        console: &Console,
    ) -> Result<Self, Self::Rejection> {
        known(parts, console, Sessions::peek).await.map(Self)
    }
}

async fn known(
    parts: &Parts,
    console: &Console,
    by_id: fn(&Sessions, &str) -> Option<Arc<Session>>,
) -> Result<SignedIn, PageError> {
    let id = cookie(&parts.headers, COOKIE).ok_or(PageError::SignedOut)?;
    let session = by_id(&console.sessions, id).ok_or(PageError::SignedOut)?;
    let person = Person::signed_in(&console.api, &session).await?;
    let person = person.ok_or(PageError::SignedOut)?;
    Ok(SignedIn { session, person })
}

/// A cookie that a browser sent.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).into_iter();
    let pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    let mut pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(key, value)| (key == name).then_some(value))
}

/// Has the browser show a session from now on.
pub(super) fn begin(session: &Session) -> String {
    kept(COOKIE, &session.id, COOKIE_SECONDS)
}

/// Has the browser forget it.
pub(super) fn end() -> String {
    kept(COOKIE, "", 0)
}

/// A cookie that only the console gets, and only from its own pages.
pub(super) fn kept(name: &str, value: &str, seconds: u32) -> String {
    format!("{name}={value}; Path=/console; Max-Age={seconds}; HttpOnly; SameSite=Strict")
}

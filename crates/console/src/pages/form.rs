//! What a form sends.

use super::frame::PageError;
use crate::{secret, session::Session, state::Console};
use axum::{
    body::to_bytes,
    extract::{FromRequest, Request},
    http::StatusCode,
};
use std::borrow::Cow;

/// The most that a form may send: notes are 500 bytes, a request to explain is short.
const BODY_BYTES_MAX: usize = 64 << 10;

/// Its fields, in their order.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// What was filled in; empty counts as nothing.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        let value = found.map(|(_, value)| value.trim());
        value.filter(|value| !value.is_empty())
    }

    /// As it was typed.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// Whether it was ticked.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Refuses what does not come from a page of this session.
    pub(super) fn of_session(&self, session: &Session) -> Result<(), PageError> {
        self.carries(&session.csrf)
    }

    /// The same, by the secret that the page had.
    pub(super) fn carries(&self, csrf: &str) -> Result<(), PageError> {
        if self
            .get("csrf")
            .is_some_and(|given| secret::is_same(given, csrf))
        {
            return Ok(());
        }
        let text = "the form does not come from a page of your session, or that is over by now. \
                    Load the page again and send it from there";
        Err(PageError::Of(StatusCode::FORBIDDEN, text.to_owned()))
    }
}

impl FromRequest<Console> for Form {
    type Rejection = PageError;

    async fn from_request(request: Request, _: &Console) -> Result<Self, Self::Rejection> {
        let body = to_bytes(request.into_body(), BODY_BYTES_MAX).await;
        let body = body.map_err(|_| {
            let text = format!("a form may have {BODY_BYTES_MAX} bytes at most");
            PageError::Of(StatusCode::PAYLOAD_TOO_LARGE, text)
        })?;
        let fields = url::form_urlencoded::parse(&body)
            .map(|(key, value)| (key.into_owned(), lines(&value).into_owned()));
        Ok(Self(fields.collect()))
    }
}

/// Browsers send the ends of lines as HTTP has them.
fn lines(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n"))
    } else {
        Cow::Borrowed(text)
    }
}

//! The header itself.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};

use crate::Problem;

/// The header's name.
pub const HEADER: &str = "idempotency-key";

/// Long enough for every kind of UUID and hash in hexadecimal.
const MAX_LENGTH: usize = 128;

/// A client's name for one request: 1 to 128 visible characters of ASCII.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

/// Why a header is no key; answer 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is none where one is needed.
    #[error("the header Idempotency-Key is missing; send a new UUID per operation")]
    Missing,
    /// There are several.
    #[error("the header Idempotency-Key was sent more than once")]
    Repeated,
    /// It is empty, too long or has other characters.
    #[error("the header Idempotency-Key must be 1 to 128 visible characters of ASCII")]
    Malformed,
}

impl IdempotencyKey {
    /// Reads a header's value. The draft has it in quotes (a structured
    /// header's string); most clients send it without, which is taken too.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let key = match text.strip_prefix('"') {
            Some(rest) => rest.strip_suffix('"').ok_or(KeyError::Malformed)?,
            None => text,
        };
        let is_visible = key
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
        if key.is_empty() || key.len() > MAX_LENGTH || !is_visible {
            return Err(KeyError::Malformed);
        }
        Ok(Self(key.to_owned()))
    }

    /// The key itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of a request; none if it carries none.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, KeyError> {
        let mut values = headers.get_all(HEADER).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(KeyError::Repeated);
        }
        let text = value.to_str().map_err(|_| KeyError::Malformed)?;
        Self::parse(text).map(Some)
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        let detail = format!("{error}.").replacen("the", "The", 1);
        Self::new(StatusCode::BAD_REQUEST, "idempotency-key", detail)
    }
}

/// For a handler that needs one.
impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self::of(&parts.headers)?.ok_or(KeyError::Missing)?)
    }
}

/// For a handler that does without.
impl<S: Sync> OptionalFromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        Ok(Self::of(&parts.headers)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quoted_and_bare_keys_are_the_same() {
        let bare = IdempotencyKey::parse("8e03978e-40d5-43dd-bc93-6894a57f9324").unwrap();
        let quoted = IdempotencyKey::parse("\"8e03978e-40d5-43dd-bc93-6894a57f9324\"").unwrap();
        assert_eq!(bare, quoted);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = "x".repeat(MAX_LENGTH + 1);
        for text in ["", "\"\"", "\"open", "a b", "a\"b", "\\", "ключ", &long] {
            assert_eq!(
                IdempotencyKey::parse(text),
                Err(KeyError::Malformed),
                "{text}"
            );
        }
    }

    #[test]
    fn two_headers_are_one_too_many() {
        let mut headers = HeaderMap::new();
        assert_eq!(IdempotencyKey::of(&headers), Ok(None));
        headers.append(HEADER, "a".parse().unwrap());
        assert!(IdempotencyKey::of(&headers).unwrap().is_some());
        headers.append(HEADER, "a".parse().unwrap());
        assert_eq!(IdempotencyKey::of(&headers), Err(KeyError::Repeated));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_a_key_reads_as_itself(text in ".*") {
            if let Ok(key) = IdempotencyKey::parse(&text) {
                prop_assert_eq!(IdempotencyKey::parse(key.as_str()), Ok(key));
            }
        }
    }
}

//! JSON bodies, in and out.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// For a whole body; a slower sender gets 408.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Longer reasons are cut: they can repeat what the caller sent.
const REASON_CHARACTERS_MAX: usize = 300;

pub(super) const NUL: &str = "text may not hold the character U+0000";

/// A JSON body. In: of the right type, well-formed (else 400), as its model
/// says (else 422, with a pointer to the field). A model that refuses unknown
/// fields says so by `#[serde(deny_unknown_fields)]`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        if !is_json(&head.headers) {
            return Err(Problem::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let bytes = match tokio::time::timeout(BODY_TIMEOUT, body.collect()).await {
            Ok(Ok(collected)) => collected.to_bytes(),
            Ok(Err(error)) if is_too_large(&error) => {
                return Err(Problem::of_status(StatusCode::PAYLOAD_TOO_LARGE));
            }
            Ok(Err(_)) => {
                let detail = "The body ended early.";
                return Err(Problem::new(
                    StatusCode::BAD_REQUEST,
                    "malformed-request",
                    detail,
                ));
            }
            Err(_) => return Err(Problem::of_status(StatusCode::REQUEST_TIMEOUT)),
        };
        parse_json(&bytes).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => (
                [(header::CONTENT_TYPE, "application/json")],
                Bytes::from(bytes),
            )
                .into_response(),
            Err(error) => {
                tracing::error!(%error, "an answer cannot be written as json");
                Problem::internal().into_response()
            }
        }
    }
}

/// Reads a text as [`Json`] reads a body.
pub fn parse_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let parsed = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer(error.path());
        (error.into_inner(), pointer)
    });
    let whole = parsed.and_then(|parsed| match reader.end() {
        Ok(()) => Ok(parsed),
        Err(error) => Err((error, String::new())),
    });
    match whole {
        Ok(_) if holds_nul(text) => Err(Problem::invalid_field("", NUL)),
        Ok(parsed) => Ok(parsed),
        // What is broken further on counts before what does not fit.
        Err((error, pointer)) if error.is_data() && is_well_formed(text) => Err(
            Problem::invalid_field(pointer, harmless(&error.to_string())),
        ),
        Err((error, _)) => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "malformed-json",
            format!(
                "The body is no JSON: line {}, column {}.",
                error.line(),
                error.column()
            ),
        )),
    }
}

fn is_well_formed(text: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

/// RFC 6901; the empty one is the whole body.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter().fold(String::new(), |whole, segment| {
        let token = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => return whole,
        };
        format!("{whole}/{token}")
    })
}

/// A reason without the value that was sent, which may be a password.
pub(super) fn harmless(reason: &str) -> String {
    let without_place = reason
        .rsplit_once(" at line ")
        .map_or(reason, |(reason, _)| reason);
    let is_about_a_value = ["invalid type: ", "invalid value: ", "invalid length "]
        .iter()
        .any(|start| without_place.starts_with(start));
    let shown = match without_place.rsplit_once("expected ") {
        Some((_, expected)) if is_about_a_value => format!("expected {expected}"),
        _ => without_place.to_owned(),
    };
    shown.chars().take(REASON_CHARACTERS_MAX).collect()
}

/// Whether a JSON text has the escape of U+0000, which is the only way to
/// write it.
fn holds_nul(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let escape = &rest[at + 1..];
        if escape.starts_with(b"u0000") {
            return true;
        }
        rest = escape.get(1..).unwrap_or_default();
    }
    false
}

fn is_json(headers: &HeaderMap) -> bool {
    let text = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = text.and_then(|text| text.split(';').next());
    let essence = essence.unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn is_too_large(error: &axum::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if error.is::<LengthLimitError>() {
            return true;
        }
        source = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Login {
        user: String,
        #[serde(default)]
        codes: Vec<u32>,
    }

    fn refused(text: &str) -> (u16, String) {
        let problem = parse_json::<Login>(text.as_bytes()).unwrap_err();
        (problem.status().as_u16(), format!("{problem:?}"))
    }

    #[test]
    fn what_fits_is_read() {
        let read = parse_json::<Login>(b" {\"user\": \"a\\\\u0000\", \"codes\": [1]} ").unwrap();
        assert_eq!(read.user, "a\\u0000");
        assert_eq!(read.codes, [1]);
    }

    #[test]
    fn what_is_no_json_is_400() {
        let deep = format!("{{\"user\": {}", "[".repeat(100_000));
        for text in [
            "",
            "{",
            "nul",
            "{}x",
            "{\"user\": 1",
            "{\"user\": 1}}",
            "{'a': 1}",
            &deep,
        ] {
            let (status, shown) = refused(text);
            assert_eq!(status, 400, "{shown}");
        }
    }

    #[test]
    fn what_does_not_fit_is_422_and_says_where() {
        let table = [
            ("{}", "pointer: \"\"", "missing field `user`"),
            ("[]", "pointer: \"\"", ""),
            ("{\"user\": 7}", "pointer: \"/user\"", "expected a string"),
            (
                "{\"user\": \"a\", \"codes\": [1, -2]}",
                "pointer: \"/codes/1\"",
                "expected u32",
            ),
            (
                "{\"user\": \"a\", \"admin\": true}",
                "pointer: \"/admin\"",
                "unknown field",
            ),
            (
                "{\"user\": \"a\", \"user\": \"b\"}",
                "pointer: \"",
                "duplicate field",
            ),
            ("{\"user\": \"a\\u0000b\"}", "pointer: \"\"", "U+0000"),
        ];
        for (text, pointer, reason) in table {
            let (status, shown) = refused(text);
            assert_eq!(status, 422, "{shown}");
            assert!(shown.contains(pointer) && shown.contains(reason), "{shown}");
        }
    }

    #[test]
    fn no_value_is_repeated() {
        for text in [
            "{\"user\": \"a\", \"codes\": \"hunter2\"}",
            "{\"user\": \"a\", \"codes\": [\"hunter2, expected nothing\"]}",
            "\"hunter2\"",
        ] {
            let (_, shown) = refused(text);
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text: Vec<u8>) {
            let _ = parse_json::<Login>(&text);
            let _ = parse_json::<Value>(&text);
        }

        #[test]
        fn what_is_written_is_read(user in "[^\0]*", codes: Vec<u32>) {
            let text = serde_json::json!({ "user": user, "codes": codes }).to_string();
            prop_assert_eq!(parse_json::<Login>(text.as_bytes()).unwrap(), Login { user, codes });
        }

        #[test]
        fn a_null_character_is_found(before in "[^\0]*", after: String) {
            let text = serde_json::json!([format!("{before}\0{after}")]).to_string();
            prop_assert!(holds_nul(text.as_bytes()));
            let text = serde_json::json!([before]).to_string();
            prop_assert!(!holds_nul(text.as_bytes()));
        }
    }
}

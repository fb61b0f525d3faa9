//! Reads a request's body, with bounds on its size and on the wait for it.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::error::ApiError;

/// As the API has always had it.
const MAX_BODY_BYTES: usize = 2_621_440;
/// For the whole body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The bytes of a body that says it is JSON. An empty one need not say so.
pub async fn json_bytes(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    let limited = Limited::new(body, MAX_BODY_BYTES);
    let bytes = match tokio::time::timeout(BODY_TIMEOUT, limited.collect()).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(ApiError::BodyTooLarge),
        Ok(Err(_)) | Err(_) => return Err(ApiError::BodyEndedEarly),
    };
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .map(axum::http::HeaderValue::as_bytes);
    let media_type = String::from_utf8_lossy(media_type.unwrap_or_default());
    if !bytes.is_empty() && !is_json(&media_type) {
        return Err(ApiError::UnsupportedMediaType(media_type.into_owned()));
    }
    Ok(bytes)
}

/// Whether a media type is JSON or a range that holds it.
fn is_json(media_type: &str) -> bool {
    let full = media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_lowercase();
    let (main, sub) = full.split_once('/').unwrap_or((&full, ""));
    (main == "*" || main == "application") && (sub == "*" || sub == "json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types() {
        for yes in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "*/*",
            "application/*",
        ] {
            assert!(is_json(yes), "{yes}");
        }
        for no in [
            "",
            "text/plain",
            "application/jsonp",
            "json",
            "text/json",
            "application",
        ] {
            assert!(!is_json(no), "{no}");
        }
    }
}

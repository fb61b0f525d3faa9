//! What a failure answers: `application/problem+json` (RFC 9457).
//!
//! A problem's `type` is `urn:banyan:problem:KIND`. The kinds that the kit
//! itself answers with are listed in [`KINDS`]; a service adds its own.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::context;

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

const TYPE_PREFIX: &str = "urn:banyan:problem:";

/// How long a caller should wait when there was no room for its request.
pub(crate) const RETRY_SECONDS: u32 = 1;

/// What the kit answers with: status, kind, and what to do about it.
pub const KINDS: &[(u16, &str, &str)] = &[
    (
        400,
        "malformed-request",
        "Send a request as the interface describes it.",
    ),
    (
        400,
        "malformed-json",
        "Send JSON (RFC 8259); the detail says where it ends to be.",
    ),
    (
        401,
        "credential-missing",
        "Show a key in `X-API-Key` or a token in `Authorization: Bearer`.",
    ),
    (401, "key-unknown", "Show a key that the service knows."),
    (
        401,
        "token-malformed",
        "Show a token that was issued for this service, as it was issued.",
    ),
    (
        401,
        "token-algorithm",
        "The token's algorithm is `none` or not the one of its key.",
    ),
    (
        401,
        "token-signature",
        "The token was signed by another key, or changed.",
    ),
    (401, "token-expired", "Ask the issuer for a new token."),
    (
        401,
        "token-not-yet",
        "The token is valid later; compare the clocks.",
    ),
    (401, "token-issuer", "The token is by another issuer."),
    (401, "token-audience", "The token is for somebody else."),
    (
        401,
        "token-request",
        "The token was made for another request.",
    ),
    (
        403,
        "forbidden",
        "The caller is known, and may not do this.",
    ),
    (404, "not-found", "There is nothing at this address."),
    (
        405,
        "method-not-allowed",
        "The header `Allow` has the methods that are.",
    ),
    (408, "request-timeout", "The body did not arrive in time."),
    (413, "body-too-large", "Send less at once."),
    (
        415,
        "unsupported-media-type",
        "Send `Content-Type: application/json`.",
    ),
    (
        422,
        "invalid-content",
        "`errors` has each field that is wrong and what it must be.",
    ),
    (
        500,
        "internal",
        "A defect of the service; the correlation id finds it in the log.",
    ),
    (
        503,
        "busy",
        "Too many requests are under way; `Retry-After` says when to come again.",
    ),
    (
        503,
        "unavailable",
        "A part that the request needs is away; nothing was done.",
    ),
    (
        503,
        "timed-out",
        "It took too long and may or may not have been done.",
    ),
    (
        400,
        "idempotency-key",
        "Send one `Idempotency-Key`: a new UUID per operation.",
    ),
    (
        409,
        "idempotency-key-under-way",
        "The first request with this key has not ended yet.",
    ),
    (
        422,
        "idempotency-key-reused",
        "The key was used for another request: take a new one.",
    ),
    (
        503,
        "outcome-unknown",
        "The answer was lost: send it again with the same key.",
    ),
    (
        503,
        "keys-unavailable",
        "The issuer's keys cannot be read at the moment.",
    ),
];

/// A failure, as it is told.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    kind: Cow<'static, str>,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What is wrong with one part of a request.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct FieldError {
    /// Where: a JSON pointer into the body, or the name of a parameter.
    pub pointer: String,
    /// What it must be.
    pub detail: String,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
}

impl Problem {
    /// A failure of a kind: lower case, dashes between words. The detail is
    /// for the caller, and says what to do.
    pub fn new(
        status: StatusCode,
        kind: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            kind: kind.into(),
            detail: detail.into(),
            errors: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// What the status alone says.
    pub fn of_status(status: StatusCode) -> Self {
        let (kind, detail) = match status {
            StatusCode::BAD_REQUEST => ("malformed-request", "The request is not as described."),
            StatusCode::UNAUTHORIZED => ("credential-missing", "Say who you are."),
            StatusCode::FORBIDDEN => ("forbidden", "The caller may not do this."),
            StatusCode::NOT_FOUND => ("not-found", "There is nothing at this address."),
            StatusCode::METHOD_NOT_ALLOWED => (
                "method-not-allowed",
                "The address does not take this method.",
            ),
            StatusCode::REQUEST_TIMEOUT => ("request-timeout", "The body did not arrive in time."),
            StatusCode::PAYLOAD_TOO_LARGE => ("body-too-large", "The body is too large."),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => (
                "unsupported-media-type",
                "The body must be application/json.",
            ),
            StatusCode::UNPROCESSABLE_ENTITY => {
                ("invalid-content", "The content is not as described.")
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                ("unavailable", "A part that the request needs is away.")
            }
            status if status.is_server_error() => ("internal", "The service failed."),
            _ => ("refused", "The request was refused."),
        };
        Self::new(status, kind, detail)
    }

    /// There is no such thing.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    /// A well-formed request whose content breaks a rule.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let mut problem = Self::of_status(StatusCode::UNPROCESSABLE_ENTITY);
        problem.errors = errors;
        problem
    }

    /// One rule about one field is broken.
    pub fn invalid_field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError {
            pointer: pointer.into(),
            detail: detail.into(),
        }])
    }

    /// A caller who is known may not do this.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// A part is away and nothing was done: the caller may come again.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).retry_after(RETRY_SECONDS)
    }

    /// A defect: the caller learns no more than that. The log must have said
    /// what it is.
    pub fn internal() -> Self {
        Self::of_status(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Adds what is wrong with a field.
    #[must_use]
    pub fn with_error(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.errors.push(FieldError {
            pointer: pointer.into(),
            detail: detail.into(),
        });
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Says when to come again.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        self.with_header(header::RETRY_AFTER, seconds.into())
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Its kind.
    pub fn kind(&self) -> &str {
        &self.kind
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.status.as_u16(), self.kind, self.detail)
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let context = context::current();
        let document = Document {
            r#type: format!("{TYPE_PREFIX}{}", self.kind),
            title: self.status.canonical_reason().unwrap_or("Failure"),
            status: self.status.as_u16(),
            detail: &self.detail,
            errors: &self.errors,
            correlation_id: context.as_ref().map(|context| context.correlation.as_str()),
        };
        // Texts and numbers only: it cannot fail.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        response
    }
}

/// Turns a failure that says nothing, or says it as plain text, into a
/// problem; its headers stay. Other bodies are the handler's decision.
pub(crate) fn explained(response: Response) -> Response {
    let status = response.status();
    let is_failure = status.is_client_error() || status.is_server_error();
    let media_type = response.headers().get(header::CONTENT_TYPE);
    let is_plain = media_type.is_none_or(|value| value.as_bytes().starts_with(b"text/plain"));
    if !is_failure || !is_plain {
        return response;
    }
    let mut explained = Problem::of_status(status).into_response();
    let (mut head, _) = response.into_parts();
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
        head.headers.remove(name);
    }
    // The problem's type stands; what the failure had beside it is added.
    explained.headers_mut().extend(head.headers);
    explained
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_a_status_is_documented() {
        for status in (400..600).filter_map(|code| StatusCode::from_u16(code).ok()) {
            let problem = Problem::of_status(status);
            let known = KINDS.iter().any(|(_, kind, _)| *kind == problem.kind());
            assert!(known || problem.kind() == "refused", "{problem}");
        }
    }

    #[test]
    fn kinds_are_listed_once() {
        let mut kinds: Vec<_> = KINDS.iter().map(|(_, kind, _)| kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), KINDS.len());
    }
}

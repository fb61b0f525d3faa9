//! Tokens in `Authorization: Bearer`, as they are presented, and how a wrong one
//! is refused.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use kit::Problem;

/// A token of any kind, as it was presented.
pub(super) struct Bearer(pub(super) String);

impl Bearer {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        presented(headers).map(|token| Self(token.to_owned()))
    }
}

pub(super) fn presented(headers: &HeaderMap) -> Result<&str, Problem> {
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

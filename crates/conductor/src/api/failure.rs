//! The answer to a call that was not carried out.

use super::messages::{ErrorKind, ErrorReply};
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use protocol::finding::Finding;

pub(super) fn forbidden(why: String) -> Response {
    failure(StatusCode::FORBIDDEN, ErrorKind::Refused, why, Vec::new())
}

pub(super) fn failure(
    code: StatusCode,
    kind: ErrorKind,
    error: String,
    findings: Vec<Finding>,
) -> Response {
    let reply = ErrorReply {
        error,
        kind,
        findings,
    };
    (code, Json(reply)).into_response()
}

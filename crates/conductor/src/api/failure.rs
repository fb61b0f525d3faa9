//! The answer to a call that was not carried out.

use super::messages::{ErrorKind, ErrorReply};
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use protocol::finding::Finding;

/// Why a call was not carried out.
#[derive(Debug)]
pub(super) struct CallError {
    pub(super) code: StatusCode,
    pub(super) reply: ErrorReply,
}

impl IntoResponse for CallError {
    fn into_response(self) -> Response {
        (self.code, Json(self.reply)).into_response()
    }
}

pub(super) fn forbidden(why: String) -> CallError {
    failure(StatusCode::FORBIDDEN, ErrorKind::Refused, why, Vec::new())
}

/// Not in this state, or not like that.
pub(super) fn conflict(why: String) -> CallError {
    failure(StatusCode::CONFLICT, ErrorKind::Refused, why, Vec::new())
}

pub(super) fn failure(
    code: StatusCode,
    kind: ErrorKind,
    error: String,
    findings: Vec<Finding>,
) -> CallError {
    let reply = ErrorReply {
        error,
        kind,
        findings,
    };
    CallError { code, reply }
}

pub(super) fn bad_request(why: String) -> CallError {
    failure(StatusCode::BAD_REQUEST, ErrorKind::Refused, why, Vec::new())
}

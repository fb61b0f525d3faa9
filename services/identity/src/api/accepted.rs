//! The answer where nothing is to be told.

use kit::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// The answer where nothing is to be told.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Accepted {
    detail: &'static str,
}

pub(super) fn accepted(detail: &'static str) -> (http::StatusCode, Json<Accepted>) {
    (http::StatusCode::ACCEPTED, Json(Accepted { detail }))
}

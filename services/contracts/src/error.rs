//! Every way a request can fail, and its answer. Bodies are always JSON.

use axum::Json;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kit::database::DatabaseError;
use serde_json::json;
use tracing::{error, info, warn};

use crate::directory::DirectoryError;
use crate::fields::FieldErrors;
use crate::json::BodyError;

#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("not found")]
    NotFound,
    #[error("there is no such page")]
    InvalidPage,
    #[error("the method is not allowed")]
    MethodNotAllowed(Method),
    #[error("the Host header is missing or invalid")]
    BadHost,
    #[error("the body is no JSON")]
    NotJson,
    #[error("the body is no JSON object")]
    NotAnObject,
    #[error("the body broke off")]
    BodyEndedEarly,
    #[error("the body is too large")]
    BodyTooLarge,
    #[error("the body's type is not JSON")]
    UnsupportedMediaType(String),
    #[error("fields are wrong")]
    Fields(FieldErrors),
    #[error("parties and plots cannot be looked up")]
    Directory(#[from] DirectoryError),
    #[error("the store failed")]
    Store(#[from] DatabaseError),
}

impl From<FieldErrors> for ApiError {
    fn from(errors: FieldErrors) -> Self {
        Self::Fields(errors)
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::NotJson => Self::NotJson,
            BodyError::NotAnObject => Self::NotAnObject,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => detail(StatusCode::NOT_FOUND, "Not found."),
            Self::InvalidPage => detail(StatusCode::NOT_FOUND, "Invalid page."),
            Self::MethodNotAllowed(method) => {
                let message = format!("Method \"{method}\" not allowed.");
                detail(StatusCode::METHOD_NOT_ALLOWED, &message)
            }
            Self::BadHost => detail(StatusCode::BAD_REQUEST, "Bad request."),
            Self::NotJson => detail(StatusCode::BAD_REQUEST, "JSON parse error."),
            Self::NotAnObject => {
                let messages = ["Invalid data. Expected an object."];
                let body = json!({ "non_field_errors": messages });
                (StatusCode::BAD_REQUEST, Json(body)).into_response()
            }
            Self::BodyEndedEarly => {
                detail(StatusCode::BAD_REQUEST, "The request body ended early.")
            }
            Self::BodyTooLarge => detail(StatusCode::PAYLOAD_TOO_LARGE, "Request body too large."),
            Self::UnsupportedMediaType(media_type) => {
                let message = format!("Unsupported media type \"{media_type}\" in request.");
                detail(StatusCode::UNSUPPORTED_MEDIA_TYPE, &message)
            }
            Self::Fields(errors) => (StatusCode::BAD_REQUEST, Json(errors)).into_response(),
            Self::Directory(error) => of_directory(&error),
            Self::Store(error) => of_store(&error),
        }
    }
}

fn of_directory(error: &DirectoryError) -> Response {
    let error: &(dyn std::error::Error + 'static) = error;
    warn!(error, "parties and plots cannot be looked up");
    detail(
        StatusCode::SERVICE_UNAVAILABLE,
        "Parties and plots cannot be looked up at the moment. Nothing was stored.",
    )
}

fn of_store(error: &DatabaseError) -> Response {
    match error {
        DatabaseError::WritesClosed(_) => {
            info!("the database refused a write");
            let message = "Writes are closed for a moment. Try again.";
            let mut response = detail(StatusCode::SERVICE_UNAVAILABLE, message);
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            response
        }
        DatabaseError::Unavailable(_) => {
            warn!(%error, "a request failed");
            detail(
                StatusCode::SERVICE_UNAVAILABLE,
                "The database is unavailable.",
            )
        }
        DatabaseError::CommitUnknown(_) => {
            warn!(%error, "a request failed");
            detail(
                StatusCode::SERVICE_UNAVAILABLE,
                "The database was lost while the write was stored. Look for its reference \
                 before you send it again.",
            )
        }
        DatabaseError::Defect(_) => {
            error!(%error, "a request failed");
            detail(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error.")
        }
    }
}

fn detail(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "detail": message }))).into_response()
}

//! Calls of the conductor's API, in the same process, with the bearer of whoever reads.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode, header},
};
use conductor::api::{ErrorKind, ErrorReply};
use serde::{Serialize, de::DeserializeOwned};
use tower::ServiceExt;

/// The most that an answer may hold: a verify's thousand differences fit.
const BODY_BYTES_MAX: usize = 16 << 20;

/// The API.
#[derive(Clone)]
pub(crate) struct Api(Router);

/// Why the API did not do it.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) code: StatusCode,
    pub(crate) reply: ErrorReply,
}

impl Api {
    pub(crate) fn new(router: Router) -> Self {
        Self(router)
    }

    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        bearer: &str,
        path: &str,
    ) -> Result<T, ApiError> {
        self.call(bearer, Method::GET, path, Body::empty()).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        bearer: &str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ApiError> {
        let body = serde_json::to_vec(body).map_err(|error| ApiError::ours(&error))?;
        self.call(bearer, Method::POST, path, body.into()).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        bearer: &str,
        method: Method,
        path: &str,
        body: Body,
    ) -> Result<T, ApiError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {bearer}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
            .map_err(|error| ApiError::ours(&error))?;
        let Ok(response) = self.0.clone().oneshot(request).await;
        let code = response.status();
        let body = to_bytes(response.into_body(), BODY_BYTES_MAX).await;
        let body = body.map_err(|error| ApiError::ours(&error))?;
        if code.is_success() {
            return serde_json::from_slice(&body).map_err(|error| ApiError::ours(&error));
        }
        let reply = serde_json::from_slice(&body).unwrap_or_else(|_| {
            let text = String::from_utf8_lossy(&body);
            failed(if text.is_empty() {
                format!("the API answered {code}")
            } else {
                format!("the API answered {code}: {text}")
            })
        });
        Err(ApiError { code, reply })
    }
}

impl ApiError {
    /// Whether the bearer is not known any more.
    pub(crate) fn is_unknown_bearer(&self) -> bool {
        self.code == StatusCode::UNAUTHORIZED
    }

    fn ours(error: &impl std::fmt::Display) -> Self {
        Self {
            code: StatusCode::INTERNAL_SERVER_ERROR,
            reply: failed(format!("the console and the API do not fit: {error}")),
        }
    }
}

fn failed(error: String) -> ErrorReply {
    ErrorReply {
        error,
        kind: ErrorKind::Failed,
        findings: Vec::new(),
    }
}

/// The path of an extraction's calls.
pub(crate) fn extraction(name: &str) -> String {
    format!("/v1/extractions/{}", segment(name))
}

/// One segment of a path.
pub(crate) fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

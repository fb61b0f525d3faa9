//! A request as it is to be sent, and its response.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, StatusCode};
use serde::de::DeserializeOwned;

use super::error::ClientError;

/// Names the effect of a request, so that it can be repeated: the other side
/// does it once and answers the same.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A response, whole.
#[derive(Debug, Clone)]
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Whether it is an earlier one, from the cache: the service failed.
    pub is_stale: bool,
    pub(super) target: Arc<str>,
}

impl Response {
    /// Itself, if its status is 2xx.
    pub fn successful(self) -> Result<Self, ClientError> {
        if self.status.is_success() {
            return Ok(self);
        }
        Err(ClientError::Status {
            target: self.target.to_string(),
            status: self.status,
        })
    }

    /// Its body, which is JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| ClientError::Content(self.target.to_string(), error.to_string()))
    }
}

/// What is sent, however often.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Result<Bytes, String>,
    /// How old a cached response may be that stands in for a failure.
    pub(super) stale_max: Option<Duration>,
}

impl Message {
    pub(super) fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            headers: HeaderMap::new(),
            body: Ok(Bytes::new()),
            stale_max: None,
        }
    }

    /// Whether it may be sent again although it was sent.
    pub(super) fn is_repeatable(&self) -> bool {
        let idempotent = [
            Method::GET,
            Method::HEAD,
            Method::OPTIONS,
            Method::PUT,
            Method::DELETE,
        ];
        idempotent.contains(&self.method) || self.headers.contains_key(IDEMPOTENCY_KEY)
    }

    /// Under what its response is cached; `None` where it is not.
    pub(super) fn cache_key(&self) -> Option<&str> {
        let anybodys = self.headers.is_empty();
        let cached = self.stale_max.is_some() && self.method == Method::GET && anybodys;
        cached.then_some(self.path.as_str())
    }
}

//! What handlers take from requests; what does not fit is a problem.
//!
//! Use these instead of axum's own: theirs fail with plain text.

mod json;

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::de::DeserializeOwned;

pub use json::{Json, parse_json};

use crate::problem::Problem;

/// Parts of the path. What does not fit is no address at all: 404.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let missing = || Problem::of_status(http::StatusCode::NOT_FOUND);
        if holds_nul(parts.uri.path()) {
            return Err(missing());
        }
        let path = axum::extract::Path::<T>::from_request_parts(parts, state);
        path.await.map(|path| Self(path.0)).map_err(|_| missing())
    }
}

/// Parameters of the query. What does not fit is 422.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        if holds_nul(parts.uri.query().unwrap_or_default()) {
            return Err(Problem::invalid_field("query", json::NUL));
        }
        match axum::extract::Query::<T>::try_from_uri(&parts.uri) {
            Ok(query) => Ok(Self(query.0)),
            Err(error) => Err(unfit(&error)),
        }
    }
}

/// The whole reason of a rejection, which names the parameter.
fn unfit(error: &axum::extract::rejection::QueryRejection) -> Problem {
    let mut source: &dyn std::error::Error = error;
    while let Some(deeper) = source.source() {
        source = deeper;
    }
    Problem::invalid_field("query", json::harmless(&source.to_string()))
}

/// PostgreSQL's text cannot hold it, and nobody means it.
fn holds_nul(encoded: &str) -> bool {
    encoded.contains("%00")
}

//! The addresses the service answers at.

mod body;
mod contracts;
mod health;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use tracing::{Instrument, info_span};

use crate::directory::Directory;
use crate::error::ApiError;
use crate::store::Store;

/// What every request may need.
#[derive(Debug, Clone)]
pub struct App {
    pub store: Store,
    pub directory: Arc<Directory>,
}

pub fn router(app: App) -> Router {
    Router::new()
        .route(
            "/api/contracts",
            get(contracts::list).post(contracts::create),
        )
        .route(
            "/api/contracts/{id}",
            get(contracts::show)
                .patch(contracts::change)
                .fallback(contracts::refuse_method),
        )
        .route(
            "/api/contracts/{id}/events",
            get(contracts::events).fallback(contracts::refuse_method),
        )
        .route("/health", get(health::ready))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .fallback(|| async { ApiError::NotFound })
        .method_not_allowed_fallback(refuse_method)
        .layer(middleware::from_fn(in_span))
        .with_state(app)
}

async fn refuse_method(method: Method) -> ApiError {
    ApiError::MethodNotAllowed(method)
}

async fn in_span(request: Request, next: Next) -> Response {
    let span = info_span!("request", method = %request.method(), path = request.uri().path());
    next.run(request).instrument(span).await
}

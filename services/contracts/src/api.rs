//! The addresses the service answers at.

mod body;
mod contracts;

use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use axum::routing::get;

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
        .fallback(|| async { ApiError::NotFound })
        .method_not_allowed_fallback(refuse_method)
        .with_state(app)
}

async fn refuse_method(method: Method) -> ApiError {
    ApiError::MethodNotAllowed(method)
}

//! The addresses the service answers at.

mod body;
mod contracts;
mod interface;
mod state;

use axum::http::Method;
use axum::routing::MethodRouter;
use kit::openapi::{OpenApiRouter, routes};

use crate::error::ApiError;

pub use state::App;

pub fn router(app: App) -> OpenApiRouter {
    let by_id = |methods: MethodRouter<App>| methods.fallback(contracts::refuse_method);
    let (schemas, paths, one) = routes!(contracts::show, contracts::change);
    let one = (schemas, paths, by_id(one));
    let (schemas, paths, events) = routes!(contracts::events);
    let events = (schemas, paths, by_id(events));
    let described = OpenApiRouter::default()
        .routes(routes!(contracts::list, contracts::create))
        .routes(one)
        .routes(events);
    let (router, description) = described.split_for_parts();
    let router = router
        .fallback(|| async { ApiError::NotFound })
        .method_not_allowed_fallback(refuse_method)
        .with_state(app);
    let mut described = OpenApiRouter::from(router);
    *described.get_openapi_mut() = description;
    described
}

async fn refuse_method(method: Method) -> ApiError {
    ApiError::MethodNotAllowed(method)
}

//! The addresses the service answers at.

mod callers;
mod notifications;
mod preferences;
mod state;
mod stream;
mod webhooks;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::{delete, get, post};

pub use state::App;

pub fn router(app: App) -> Router {
    Router::new()
        .route(
            "/notifications",
            post(notifications::create).get(notifications::list),
        )
        .route("/notifications/{id}", get(notifications::show))
        .route(
            "/notifications/dead-letters",
            get(notifications::dead_letters),
        )
        .route(
            "/notifications/dead-letters/{id}/replay",
            post(notifications::replay),
        )
        .route(
            "/notifications/preferences/{user_id}",
            get(preferences::show).put(preferences::replace),
        )
        .route(
            "/notifications/webhooks",
            get(webhooks::list).post(webhooks::add),
        )
        .route("/notifications/webhooks/{id}", delete(webhooks::remove))
        .route("/notifications/stream", get(stream::open))
        // The kit's usual place, and one that is reached through the gateway.
        .route("/openapi.json", get(openapi))
        .route("/notifications/openapi.json", get(openapi))
        .with_state(app)
}

async fn openapi() -> impl IntoResponse {
    let document = include_str!("../openapi.json");
    ([(header::CONTENT_TYPE, "application/json")], document)
}

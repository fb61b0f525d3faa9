//! The addresses the service answers at.

mod callers;
mod dashboard;
mod ingest;
mod state;

use kit::openapi::{OpenApiRouter, routes};

pub use state::{App, StoredItems};

pub fn router(app: App) -> OpenApiRouter {
    OpenApiRouter::default()
        .routes(routes!(ingest::metrics))
        .routes(routes!(ingest::events, dashboard::events))
        .routes(routes!(dashboard::overview))
        .routes(routes!(dashboard::service))
        .routes(routes!(dashboard::slow_endpoints))
        .with_state(app)
}

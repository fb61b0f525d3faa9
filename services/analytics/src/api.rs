//! The addresses the service answers at.

mod callers;
mod dashboard;
mod ingest;

use kit::database::Database;
use kit::openapi::{OpenApiRouter, routes};

use crate::settings::{Rates, Retention};

pub use ingest::Taken;

/// What every request may need.
#[derive(Debug, Clone)]
pub struct App {
    pub database: Database,
    pub retention: Retention,
    pub rates: Rates,
    pub reader_role: String,
    pub taken: Taken,
}

pub fn router(app: App) -> OpenApiRouter {
    OpenApiRouter::default()
        .routes(routes!(ingest::metrics))
        .routes(routes!(ingest::events, dashboard::events))
        .routes(routes!(dashboard::overview))
        .routes(routes!(dashboard::service))
        .routes(routes!(dashboard::slow_endpoints))
        .with_state(app)
}

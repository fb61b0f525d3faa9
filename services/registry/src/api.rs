//! The addresses the service answers at.

mod external;
mod panels;
mod scope;
mod services;
mod state;
mod watch;

use kit::openapi::{OpenApiRouter, routes};

pub use state::App;

/// All of them, documented.
pub fn router(app: App) -> OpenApiRouter {
    OpenApiRouter::default()
        .routes(routes!(services::register, services::find))
        .routes(routes!(services::heard))
        .routes(routes!(services::remove))
        .routes(routes!(watch::watch))
        .routes(routes!(external::add, external::list))
        .routes(routes!(external::show, external::replace, external::remove))
        .routes(routes!(external::health))
        .routes(routes!(external::check))
        .routes(routes!(panels::catalogue))
        .routes(routes!(panels::versions))
        .routes(routes!(panels::version))
        .routes(routes!(panels::difference))
        .routes(routes!(panels::sync))
        .routes(routes!(panels::syncs))
        .with_state(app)
}

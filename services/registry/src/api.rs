//! The addresses the service answers at.

mod external;
mod panels;
mod services;
mod watch;

use kit::database::Database;
use kit::guard::Caller;
use kit::openapi::{OpenApiRouter, routes};
use kit::outside::Destinations;
use kit::{Problem, Stopping};

use crate::hub::Hub;

/// What every request may need.
#[derive(Debug, Clone)]
pub struct App {
    pub database: Database,
    pub hub: Hub,
    pub destinations: Destinations,
    pub stopping: Stopping,
}

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

/// Whose instances a caller may speak for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaker<'a> {
    /// By the key: everybody's.
    All,
    /// By a service's token: its own.
    Service(&'a str),
}

impl<'a> Speaker<'a> {
    /// Services only: users have no business here.
    fn of(caller: &'a Caller) -> Result<Self, Problem> {
        match caller {
            Caller::Key(_) => Ok(Self::All),
            Caller::Service(peer) => Ok(Self::Service(&peer.service)),
            Caller::User(_) => Err(Problem::forbidden("This is for services.")),
        }
    }

    /// The only service it is about.
    fn only(self) -> Option<&'a str> {
        match self {
            Self::All => None,
            Self::Service(name) => Some(name),
        }
    }
}

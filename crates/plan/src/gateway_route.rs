//! Requests that belong to no extraction.

mod canary;
mod destination;
mod file;
mod rewrite;

pub use canary::{Canary, CanaryKey, CanaryShare};
pub use destination::Destination;
pub use rewrite::Rewrite;

pub(crate) use file::{GatewayRouteFile, gateway_routes};

use crate::{base::ExtractionName, policy::Policies, route::Route};

/// A route that the gateway serves beside the extractions: to one upstream,
/// for good. What no route matches goes to the monolith.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayRoute {
    /// What it is called in metrics and by `banyan routes`.
    pub name: String,
    /// Its requests.
    pub route: Route,
    /// Where they go.
    pub to: Destination,
    /// How their path is changed.
    pub rewrite: Rewrite,
    /// Whether the upstream gets the client's `Host` or its own address.
    pub preserve_host: bool,
    /// Whether they wait until the monolith has what their client wrote elsewhere.
    pub own_writes: bool,
    /// Of which extraction it is an old way: it goes with the old side.
    pub retires_with: Option<ExtractionName>,
    /// What is demanded of its requests, over what is demanded of all.
    pub policies: Policies,
    /// Who of its clients goes elsewhere.
    pub canary: Option<Canary>,
}

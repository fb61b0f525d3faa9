//! What all requests of a server share.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::auth::Authenticator;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::reports::Reports;
use crate::service::Limits;
use crate::spans::Spans;

/// What all requests share.
#[derive(Debug)]
pub(super) struct ServerState {
    pub(super) metrics: Metrics,
    pub(super) health: Health,
    pub(super) authenticator: Arc<Authenticator>,
    pub(super) limits: Limits,
    pub(super) permits: Semaphore,
    pub(super) spans: Option<Spans>,
    pub(super) reports: Option<Reports>,
}

//! What every request may need.

use kit::database::Database;
use kit::metrics::Metrics;
use prometheus_client::metrics::counter::Counter;

use crate::settings::{Rates, Retention};

/// What every request may need.
#[derive(Debug, Clone)]
pub struct App {
    pub database: Database,
    pub retention: Retention,
    pub rates: Rates,
    pub reader_role: String,
    pub stored_items: StoredItems,
}

/// Items that were new, for Prometheus.
#[derive(Debug, Clone, Default)]
pub struct StoredItems(pub(super) Counter);

impl StoredItems {
    /// Adds it to a service's metrics.
    pub fn register(metrics: &Metrics) -> Self {
        let stored_items = Self::default();
        metrics.register(
            "analytics_items",
            "Items that were stored",
            stored_items.0.clone(),
        );
        stored_items
    }
}

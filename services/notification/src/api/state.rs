//! What every request may need.

use std::sync::Arc;

use kit::Stopping;
use kit::database::Database;
use kit::outside::Destinations;

use crate::push::Hub;
use crate::store::allowances::Limit;
use crate::templates::Templates;

/// What every request may need.
#[derive(Debug, Clone)]
pub struct App {
    pub database: Database,
    pub templates: Arc<Templates>,
    pub hub: Hub,
    pub limit: Limit,
    pub destinations: Destinations,
    pub stopping: Stopping,
}

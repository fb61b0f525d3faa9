//! What every request may need.

use kit::Stopping;
use kit::database::Database;
use kit::outside::Destinations;

use crate::hub::Hub;

/// What every request may need.
#[derive(Debug, Clone)]
pub struct App {
    pub database: Database,
    pub hub: Hub,
    pub destinations: Destinations,
    pub stopping: Stopping,
}

//! What differs between machines, beside what every service reads.

use kit::outside::Destinations;
use kit::settings::{Bounded, Seconds};

kit::settings! {
    /// What the service reads beside what every service does.
    pub struct Settings {
        /// The database
        pub database: kit::database::Variables = group,
        /// Where external services may be
        pub destinations: Destinations = "REGISTRY_EXTERNAL" or "public",
        /// Checks and syncs of external services at once, in this instance
        pub concurrency: Bounded<1, 64> = "REGISTRY_CONCURRENCY" or "8",
        /// How long a check of an external service may take
        pub check_timeout: Seconds = "REGISTRY_CHECK_TIMEOUT" or "10",
        /// How long the answer with a catalogue may take
        pub sync_timeout: Seconds = "REGISTRY_SYNC_TIMEOUT" or "30",
        /// When a sync that failed is tried again, if that is sooner than the next one
        pub sync_retry: Seconds = "REGISTRY_SYNC_RETRY" or "60",
    }
}

/// For `registry migrate`.
pub type MigrationSettings = kit::database::Variables;

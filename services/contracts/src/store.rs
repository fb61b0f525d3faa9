//! Contracts in PostgreSQL, in the schema `contract_service`.
//!
//! Only this module and its parts know the tables. Every wait is bounded, so
//! that a database in trouble makes requests fail instead of pile up.

mod reads;
mod writes;

use kit::database::{Database, DatabaseSettings, MigrateError, Schema};

pub use reads::{Conditions, Filter};

/// Where the tables are.
pub const SCHEMA: Schema = Schema::of("contract_service");

/// Earlier versions called the list of what was applied otherwise.
const RENAME_APPLIED: &str =
    "alter table if exists contract_service._sqlx_migrations rename to _migrations";

/// Contracts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    database: Database,
}

/// Brings the tables up to date. Safe to run by many at once: they wait for
/// each other.
pub async fn migrate(settings: &DatabaseSettings) -> Result<(), MigrateError> {
    let database = Database::new(settings);
    let renamed = sqlx::query(RENAME_APPLIED).execute(database.pool()).await;
    renamed.map_err(MigrateError::Connect)?;
    database.close().await;
    kit::database::migrate(settings, sqlx::migrate!()).await
}

impl Store {
    /// Connects only when a request needs it.
    pub fn new(settings: &DatabaseSettings) -> Self {
        Self {
            database: Database::new(settings),
        }
    }

    /// Whether the database answers in time.
    pub async fn is_ready(&self) -> bool {
        self.database.is_ready().await
    }

    /// Closes every connection once it is free.
    pub async fn close(&self) {
        self.database.close().await;
    }
}

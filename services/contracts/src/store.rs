//! Contracts in PostgreSQL, in the schema `contract_service`.
//!
//! Only this module and its parts know the tables. Every wait is bounded, so
//! that a database in trouble makes requests fail instead of pile up.

mod failure;
mod reads;
mod writes;

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, PgPool};
use tracing::info;
use tracing::log::LevelFilter;

pub use failure::StoreError;
pub use reads::{Conditions, Filter};

use crate::settings::DatabaseSettings;

const SCHEMA: &str = "contract_service";
const MIGRATIONS_TABLE: &str = "contract_service._sqlx_migrations";

/// How long a request waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a statement may run or wait for a lock.
const SET_TIMEOUTS: &str =
    "set statement_timeout = '10s'; set idle_in_transaction_session_timeout = '10s'";
/// A connection that was idle for longer is tried before it is used.
const TRUSTED_IDLE_TIME: Duration = Duration::from_secs(1);
/// How long readiness may take.
const READY_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("cannot connect to the database; check DATABASE_URL and that PostgreSQL runs")]
    Connect(#[source] sqlx::Error),
    #[error(
        "cannot create the schema contract_service; let a superuser run \
         `create schema contract_service authorization <the service's role>`"
    )]
    CreateSchema(#[source] sqlx::Error),
    #[error("cannot migrate the schema contract_service; its owner must be the service's role")]
    Migrate(#[source] sqlx::migrate::MigrateError),
}

/// A pool of connections. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
}

/// Brings the tables up to date. Safe to run by many at once: they wait for
/// each other.
pub async fn migrate(settings: &DatabaseSettings) -> Result<(), MigrateError> {
    let options = options(settings);
    let mut connection = PgConnection::connect_with(&options)
        .await
        .map_err(MigrateError::Connect)?;
    create_schema(&mut connection)
        .await
        .map_err(MigrateError::CreateSchema)?;
    let mut migrator = sqlx::migrate!();
    migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
    migrator
        .run(&mut connection)
        .await
        .map_err(MigrateError::Migrate)?;
    info!("tables are up to date");
    // Whether it says goodbye does not matter.
    let _ = connection.close().await;
    Ok(())
}

/// `create schema if not exists` needs the right to create schemas even when
/// the schema is there, so it is looked for first.
async fn create_schema(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let exists = "select to_regnamespace($1) is not null";
    if sqlx::query_scalar(exists)
        .bind(SCHEMA)
        .fetch_one(&mut *connection)
        .await?
    {
        return Ok(());
    }
    let created = connection
        .execute("create schema if not exists contract_service")
        .await;
    // Another one may have created it at the same moment.
    if sqlx::query_scalar(exists)
        .bind(SCHEMA)
        .fetch_one(&mut *connection)
        .await?
    {
        return Ok(());
    }
    created.map(|_| ())
}

fn options(settings: &DatabaseSettings) -> PgConnectOptions {
    settings.options.clone().log_statements(LevelFilter::Trace)
}

impl Store {
    /// Makes a pool. Connects only when a request needs it.
    pub fn new(settings: &DatabaseSettings) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(settings.connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for > TRUSTED_IDLE_TIME {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .after_connect(|connection, _| {
                Box::pin(async move { connection.execute(SET_TIMEOUTS).await.map(|_| ()) })
            })
            .connect_lazy_with(options(settings));
        Self { pool }
    }

    /// Whether the database answers in time.
    pub async fn is_ready(&self) -> bool {
        let answer = sqlx::query("select 1").execute(&self.pool);
        matches!(tokio::time::timeout(READY_TIMEOUT, answer).await, Ok(Ok(_)))
    }

    /// Closes every connection once it is free.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

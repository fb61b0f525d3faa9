//! PostgreSQL for one service: a schema and a role of its own, a bounded pool,
//! migrations at start, and what a failed statement means.
//!
//! The schema is the connection's whole `search_path`, so statements name
//! tables without it. That, LISTEN and advisory locks need a direct connection:
//! a pooler in transaction mode in between will not do.

mod failure;
mod migration;
mod notices;
mod variables;

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgPool, Postgres, Transaction};
use tracing::log::LevelFilter;

pub use failure::DatabaseError;
pub use migration::{MigrateError, migrate};
pub use notices::{Notice, Notices, Receiver, channel};
pub use variables::{DatabaseUrl, Variables};

/// How long a request waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a statement may run or wait for a lock. Shorter for locks, so that
/// a blocked statement says that it was blocked.
const STATEMENT_TIMEOUT: &str = "10s";
const LOCK_TIMEOUT: &str = "5s";
/// A transaction that its owner forgot must not hold its locks for ever.
const IDLE_IN_TRANSACTION_TIMEOUT: &str = "10s";
/// A connection that was idle for longer is tried before it is used. Each that a
/// restarted server has closed fails one statement, until it is that old: longer
/// than this nobody shall find the service broken when the server is back.
const TRUSTED_IDLE_TIME: Duration = Duration::from_secs(1);
/// How long the readiness check waits for an answer.
const READY_TIMEOUT: Duration = Duration::from_secs(1);

/// The connections of a pool unless the service says otherwise.
pub const DEFAULT_CONNECTIONS: u32 = 10;
/// More than this is a mistake: PostgreSQL itself allows 100 by default.
pub const MAX_CONNECTIONS: u32 = 1000;

/// The name of a service's schema: a plain SQL name, so that it needs no quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Schema(&'static str);

impl Schema {
    /// For a constant; a name that is not plain does not compile there.
    ///
    /// # Panics
    /// If the name is not 1 to 48 of a-z, 0-9 and _, or begins with a digit.
    pub const fn of(name: &'static str) -> Self {
        let bytes = name.as_bytes();
        // Leaves room for what is put in front of it in the names of channels.
        assert!(!bytes.is_empty() && bytes.len() <= 48 && !bytes[0].is_ascii_digit());
        let mut position = 0;
        while position < bytes.len() {
            let byte = bytes[position];
            assert!(byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            position += 1;
        }
        Self(name)
    }

    /// The name itself.
    pub const fn name(self) -> &'static str {
        self.0
    }
}

/// Where the data is and who works with it.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    options: PgConnectOptions,
    owner: Option<PgConnectOptions>,
    schema: Schema,
    connections: u32,
}

/// A database URL that will not do. The URL holds a password, so it is not repeated.
#[derive(Debug, thiserror::Error)]
#[error(
    "not a PostgreSQL URL with a database; set one such as postgresql://role:password@127.0.0.1:5432/database"
)]
pub struct UrlError;

impl DatabaseSettings {
    /// For a service whose role owns its schema; `service` names the
    /// connections in `pg_stat_activity`.
    pub fn new(url: &str, schema: Schema, service: &str) -> Result<Self, UrlError> {
        Ok(Self {
            options: parse(url)?.application_name(service),
            owner: None,
            schema,
            connections: DEFAULT_CONNECTIONS,
        })
    }

    /// Lets another role own the schema and migrate it, so that the service's
    /// own role cannot change what is append-only.
    pub fn owned_by(mut self, url: &str) -> Result<Self, UrlError> {
        let name = self.options.get_application_name().unwrap_or("service");
        self.owner = Some(parse(url)?.application_name(name));
        Ok(self)
    }

    /// Bounds the pool, from 1 to [`MAX_CONNECTIONS`].
    #[must_use]
    pub fn connections(mut self, connections: u32) -> Self {
        self.connections = connections.clamp(1, MAX_CONNECTIONS);
        self
    }

    fn session(&self) -> PgConnectOptions {
        let session = [
            ("search_path", self.schema.name()),
            ("statement_timeout", STATEMENT_TIMEOUT),
            ("lock_timeout", LOCK_TIMEOUT),
            (
                "idle_in_transaction_session_timeout",
                IDLE_IN_TRANSACTION_TIMEOUT,
            ),
        ];
        quiet(self.options.clone()).options(session)
    }
}

fn parse(url: &str) -> Result<PgConnectOptions, UrlError> {
    let is_postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let options: PgConnectOptions = url.parse().map_err(|_| UrlError)?;
    if is_postgres && options.get_database().is_some() {
        Ok(options)
    } else {
        Err(UrlError)
    }
}

/// Statements are no news; whoever runs one logs its failure.
fn quiet(options: PgConnectOptions) -> PgConnectOptions {
    options.log_statements(LevelFilter::Trace)
}

/// A service's pool. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Database {
    pool: PgPool,
    schema: Schema,
}

impl Database {
    /// Makes a pool. It connects at the first use.
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
            .connect_lazy_with(settings.session());
        Self {
            pool,
            schema: settings.schema,
        }
    }

    /// The pool, for statements of the service.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The schema that its connections work in.
    pub fn schema(&self) -> Schema {
        self.schema
    }

    /// Begins a transaction; dropping it rolls back.
    pub async fn begin(&self) -> Result<Transaction<'static, Postgres>, DatabaseError> {
        Ok(self.pool.begin().await?)
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

/// Commits, and tells apart whether a failed commit may have been done.
pub async fn commit(transaction: Transaction<'_, Postgres>) -> Result<(), DatabaseError> {
    transaction.commit().await.map_err(DatabaseError::of_commit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: Schema = Schema::of("notification_service");

    #[test]
    fn a_wrong_url_is_refused_without_repeating_it() {
        for url in [
            "",
            "mysql://a:s3cret@h/d",
            "postgresql://a:s3cret@h",
            "s3cret",
        ] {
            let error = DatabaseSettings::new(url, SCHEMA, "x").unwrap_err();
            assert!(!error.to_string().contains("s3cret"));
        }
        assert!(DatabaseSettings::new("postgresql://a:b@h/d", SCHEMA, "x").is_ok());
    }

    #[test]
    #[should_panic(expected = "assertion failed")]
    fn a_schema_that_needs_quotes_is_no_schema() {
        let _ = Schema::of("x; drop");
    }
}

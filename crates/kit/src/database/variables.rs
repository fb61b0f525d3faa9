//! The database's part of the environment, the same for every service.

use sqlx::postgres::PgConnectOptions;

use super::{DatabaseSettings, Schema, parse};
use crate::settings::{Bounded, Setting};

/// A PostgreSQL URL with a database. It holds a password: never repeated.
#[derive(Clone)]
pub struct DatabaseUrl(PgConnectOptions);

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a database URL")
    }
}

impl Setting for DatabaseUrl {
    const IS_SECRET: bool = true;

    fn form() -> String {
        "a PostgreSQL URL, for example postgresql://role:password@127.0.0.1:5432/database"
            .to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        parse(text).ok().map(Self)
    }
}

crate::settings! {
    /// Where a service's data is, and who works with it.
    pub struct Variables {
        /// The database, as the service's own role
        pub url: DatabaseUrl = "DATABASE_URL",
        /// The same as the role that owns the schema and migrates it; without it the service's role does
        pub owner_url: Option<DatabaseUrl> = "DATABASE_OWNER_URL",
        /// Connections at once, at most
        pub connections: Bounded<1, 1000> = "DATABASE_CONNECTIONS" or "10",
    }
}

impl Variables {
    /// For the schema of `service`, which names the connections.
    pub fn settings(self, schema: Schema, service: &str) -> DatabaseSettings {
        DatabaseSettings {
            options: self.url.0.application_name(service),
            owner: self.owner_url.map(|url| url.0.application_name(service)),
            schema,
            connections: self.connections.get(),
        }
    }
}

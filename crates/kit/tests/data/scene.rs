//! A private cluster with one service's role, schema and tables.

use std::time::Duration;

use kit::database::{Database, DatabaseSettings, Schema, migrate};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};
use testbed::cluster::{Cluster, Options, Rights};
use testbed::directory::PrivateDirectory;

pub const SCHEMA: Schema = Schema::of("shop_service");
pub const TIMEOUT: Duration = Duration::from_secs(40);

/// The service's own table: what was applied, in order.
const TABLES: &str = "create table applied (number bigint generated always as identity, \
     key text not null, what bigint not null)";

pub struct Scene {
    pub cluster: Cluster,
    pub directory: PrivateDirectory,
}

impl Scene {
    pub async fn new() -> Self {
        let directory = PrivateDirectory::new().unwrap();
        let mut cluster = Cluster::create(&directory, "kit", &Options::fast())
            .await
            .unwrap();
        cluster.create_role("owner", Rights::Plain).await.unwrap();
        cluster.create_role("shop", Rights::Plain).await.unwrap();
        cluster.create_database("shop", "owner").await.unwrap();
        Self { cluster, directory }
    }

    pub fn url(&self) -> String {
        self.cluster.url("owner", "shop").unwrap()
    }

    /// One role for everything.
    pub fn settings(&self) -> DatabaseSettings {
        DatabaseSettings::new(&self.url(), SCHEMA, "shop").unwrap()
    }

    /// A role for the tables, another one for the service.
    pub fn divided_settings(&self) -> DatabaseSettings {
        let url = self.cluster.url("shop", "shop").unwrap();
        DatabaseSettings::new(&url, SCHEMA, "shop")
            .unwrap()
            .owned_by(&self.url())
            .unwrap()
    }

    /// Migrated, with a pool.
    pub async fn database(&self) -> Database {
        let settings = self.settings();
        migrate(&settings, migrator()).await.unwrap();
        Database::new(&settings)
    }
}

pub fn migrator() -> Migrator {
    let sql = AssertSqlSafe(TABLES).into_sql_str();
    let migration = Migration::new(1, "shop".into(), MigrationType::Simple, sql, false);
    Migrator::with_migrations(vec![migration])
}

/// What the table `applied` has for a key, in order.
pub async fn applied(database: &Database, key: &str) -> Vec<i64> {
    sqlx::query_scalar("select what from applied where key = $1 order by number")
        .bind(key)
        .fetch_all(database.pool())
        .await
        .unwrap()
}

pub async fn count(database: &Database, table: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {table}")))
        .fetch_one(database.pool())
        .await
        .unwrap()
}

//! Brings a service's schema up to date: the kit's own tables first, then the
//! service's. Several instances may start at once: one does it, the others
//! wait for it and find nothing left to do.

use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};
use tracing::info;

use super::{DatabaseSettings, Schema, quiet};

/// How long an instance waits for another one that migrates.
const MIGRATION_LOCK_TIMEOUT: &str = "120s";

static KIT: Migrator = sqlx::migrate!();

/// Tables whose trigger refuses changes: of these the service's role gets the
/// right to read and to append only.
const APPEND_ONLY: &str = "select format('%I', c.relname) from pg_class c \
     join pg_trigger t on t.tgrelid = c.oid join pg_proc p on p.oid = t.tgfoid \
     where c.relnamespace = to_regnamespace($1) and p.proname = 'refuse_change'";

/// Why a schema was not brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// Nobody was there, or not for us.
    #[error("cannot connect to the database; check DATABASE_URL")]
    Connect(#[source] sqlx::Error),
    /// Another instance did not finish within the time.
    #[error(
        "another instance has been migrating {schema} for {MIGRATION_LOCK_TIMEOUT}; see pg_stat_activity"
    )]
    Locked {
        /// The schema's name.
        schema: &'static str,
        /// What the wait ended with.
        source: sqlx::Error,
    },
    /// The role may not make the schema.
    #[error(
        "cannot create the schema {schema}: let it be made with `create schema {schema} authorization ROLE`"
    )]
    Schema {
        /// The schema's name.
        schema: &'static str,
        /// What PostgreSQL said.
        source: sqlx::Error,
    },
    /// A migration failed, or one that was applied has since been edited.
    #[error("a migration of {schema} failed")]
    Migration {
        /// The schema's name.
        schema: &'static str,
        /// Which one and why.
        source: sqlx::migrate::MigrateError,
    },
    /// The owner could not give the service's role its rights.
    #[error("cannot grant the service's role its rights on {schema}")]
    Grant {
        /// The schema's name.
        schema: &'static str,
        /// What PostgreSQL said.
        source: sqlx::Error,
    },
}

/// Brings the schema up to date under an advisory lock of its own.
///
/// A migration that fails is rolled back; those before it stay.
pub async fn migrate(
    settings: &DatabaseSettings,
    mut service: Migrator,
) -> Result<(), MigrateError> {
    let schema = settings.schema.name();
    let owner = settings.owner.as_ref().unwrap_or(&settings.options);
    let session = [
        ("search_path", schema),
        ("lock_timeout", MIGRATION_LOCK_TIMEOUT),
    ];
    let mut connection = quiet(owner.clone())
        .options(session)
        .connect()
        .await
        .map_err(MigrateError::Connect)?;
    lock(&mut connection, settings.schema).await?;
    create_schema(&mut connection, schema)
        .await
        .map_err(|source| MigrateError::Schema { schema, source })?;
    let mut kit = Migrator {
        migrations: KIT.migrations.clone(),
        ..Migrator::DEFAULT
    };
    for (migrator, table) in [(&mut kit, "_kit_migrations"), (&mut service, "_migrations")] {
        migrator.set_locking(false);
        migrator.dangerous_set_table_name(format!("{schema}.{table}"));
        migrator
            .run_direct(None, &mut connection, false)
            .await
            .map_err(|source| MigrateError::Migration { schema, source })?;
    }
    if settings.owner.is_some() {
        grant(&mut connection, settings)
            .await
            .map_err(|source| MigrateError::Grant { schema, source })?;
    }
    info!(schema, "tables are up to date");
    // The end of the connection releases the lock, orderly or not.
    let _ = connection.close().await;
    Ok(())
}

/// Of the session, so that a crash releases it.
async fn lock(connection: &mut PgConnection, schema: Schema) -> Result<(), MigrateError> {
    sqlx::query("select pg_advisory_lock(hashtextextended('kit:migrate:' || $1, 0))")
        .bind(schema.name())
        .execute(connection)
        .await
        .map(|_| ())
        .map_err(|source| MigrateError::Locked {
            schema: schema.name(),
            source,
        })
}

/// `create schema if not exists` needs the right to create schemas even when
/// the schema is there, so it is looked for first.
async fn create_schema(connection: &mut PgConnection, schema: &str) -> Result<(), sqlx::Error> {
    let exists: bool = sqlx::query_scalar("select to_regnamespace($1) is not null")
        .bind(schema)
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        // A schema's name is plain by its type.
        let create = format!("create schema {schema}");
        connection.execute(AssertSqlSafe(create)).await?;
    }
    Ok(())
}

async fn grant(
    connection: &mut PgConnection,
    settings: &DatabaseSettings,
) -> Result<(), sqlx::Error> {
    let schema = settings.schema.name();
    let role: String = sqlx::query_scalar("select quote_ident($1)")
        .bind(settings.options.get_username())
        .fetch_one(&mut *connection)
        .await?;
    let append_only: Vec<String> = sqlx::query_scalar(APPEND_ONLY)
        .bind(schema)
        .fetch_all(&mut *connection)
        .await?;
    let mut transaction = connection.begin().await?;
    let mut statements = vec![
        format!("grant usage on schema {schema} to {role}"),
        format!("grant select, insert, update, delete on all tables in schema {schema} to {role}"),
        format!("grant usage, select on all sequences in schema {schema} to {role}"),
    ];
    statements.extend(
        append_only.iter().map(|table| {
            format!("revoke update, delete, truncate on {schema}.{table} from {role}")
        }),
    );
    for statement in statements {
        // Only names, quoted by PostgreSQL itself.
        transaction.execute(AssertSqlSafe(statement)).await?;
    }
    transaction.commit().await
}

//! External services.

use kit::database::{Database, DatabaseError, commit};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::external::{External, ExternalRegistration};
use crate::health::State;

/// External services at once. Each costs a check every few seconds.
pub const EXTERNAL_MAX: i64 = 1_000;

/// The columns of the service `s`, by name: under `*` a statement that is prepared
/// fails for good once a migration has added one.
macro_rules! columns {
    () => {
        "s.id, s.name, s.url, s.kind, s.health_path, s.check_interval_seconds, \
         s.sync_interval_seconds, s.slow_milliseconds, s.unhealthy_after, s.healthy_after, \
         s.state, s.state_since, s.passes, s.failures, s.panels_version, s.registered_at"
    };
}
pub(super) use columns;

/// What came of a wish to write one.
#[derive(Debug)]
pub enum WriteOutcome {
    /// It is there.
    Done(External),
    /// Another one has the name.
    NameTaken,
    /// There is no room for more.
    Full,
    /// There is none to be replaced.
    Unknown,
}

/// Adds one; its first check and sync are due at once.
pub async fn add(
    database: &Database,
    told: &ExternalRegistration,
) -> Result<WriteOutcome, DatabaseError> {
    let mut transaction = database.begin().await?;
    let id = Uuid::new_v4();
    let added = sqlx::query(
        "insert into external_services (id, name, url, kind, health_path, check_interval_seconds, \
         sync_interval_seconds, slow_milliseconds, unhealthy_after, healthy_after) \
         select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 \
         where (select count(*) from external_services) < $11 on conflict (name) do nothing",
    );
    let added = bind(added.bind(id), told)
        .bind(EXTERNAL_MAX)
        .execute(&mut *transaction)
        .await?;
    if added.rows_affected() == 0 {
        let taken: bool =
            sqlx::query_scalar("select exists (select from external_services where name = $1)")
                .bind(&told.name)
                .fetch_one(&mut *transaction)
                .await?;
        return Ok(if taken {
            WriteOutcome::NameTaken
        } else {
            WriteOutcome::Full
        });
    }
    written(transaction, id).await
}

/// Replaces what is told of one; what is known of it stays.
pub async fn replace(
    database: &Database,
    id: Uuid,
    told: &ExternalRegistration,
) -> Result<WriteOutcome, DatabaseError> {
    let mut transaction = database.begin().await?;
    let replaced = sqlx::query(
        "update external_services set name = $2, url = $3, kind = $4, health_path = $5, \
         check_interval_seconds = $6, sync_interval_seconds = $7, slow_milliseconds = $8, \
         unhealthy_after = $9, healthy_after = $10 where id = $1",
    );
    match bind(replaced.bind(id), told)
        .execute(&mut *transaction)
        .await
    {
        Ok(replaced) if replaced.rows_affected() == 0 => Ok(WriteOutcome::Unknown),
        Ok(_) => written(transaction, id).await,
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            Ok(WriteOutcome::NameTaken)
        }
        Err(error) => Err(error.into()),
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

fn bind<'q>(query: Query<'q>, told: &'q ExternalRegistration) -> Query<'q> {
    // They are within their bounds.
    let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    query
        .bind(&told.name)
        .bind(&told.url)
        .bind(&told.kind)
        .bind(&told.health_path)
        .bind(number(told.check_interval_seconds))
        .bind(told.sync_interval_seconds.map(number))
        .bind(number(told.slow_milliseconds))
        .bind(number(told.unhealthy_after))
        .bind(number(told.healthy_after))
}

/// Has its work due now, and no work that is not its. Whoever is at it asks
/// what was told before: it loses its lease, so that what comes of that is not
/// stored and does not put off what is due now.
async fn written(
    mut transaction: sqlx::Transaction<'_, sqlx::Postgres>,
    id: Uuid,
) -> Result<WriteOutcome, DatabaseError> {
    sqlx::query(
        "insert into tasks (service, work) select s.id, w from external_services s, \
         unnest(array['check', 'sync']) w where s.id = $1 and \
         (w = 'check' or s.sync_interval_seconds is not null) \
         on conflict (service, work) do update \
         set due_at = clock_timestamp(), lease = null, leased_until = null",
    )
    .bind(id)
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "delete from tasks t using external_services s where s.id = t.service and t.service = $1 \
         and t.work = 'sync' and s.sync_interval_seconds is null",
    )
    .bind(id)
    .execute(&mut *transaction)
    .await?;
    let external = sqlx::query_as(concat!(
        "select ",
        columns!(),
        " from external_services s where id = $1"
    ))
    .bind(id)
    .fetch_one(&mut *transaction)
    .await?;
    commit(transaction).await?;
    Ok(WriteOutcome::Done(external))
}

/// All of a kind or in a state, by name.
pub async fn list(
    database: &Database,
    kind: Option<&str>,
    state: Option<State>,
) -> Result<Vec<External>, DatabaseError> {
    let all = sqlx::query_as(concat!(
        "select ",
        columns!(),
        " from external_services s where ($1::text is null or kind = $1) \
             and ($2::text is null or state = $2) order by name"
    ))
    .bind(kind)
    .bind(state)
    .fetch_all(database.pool())
    .await?;
    Ok(all)
}

/// How many there are in each state.
pub async fn counts(database: &Database) -> Result<Vec<(State, i64)>, DatabaseError> {
    let counts = sqlx::query_as("select state, count(*) from external_services group by state");
    Ok(counts.fetch_all(database.pool()).await?)
}

/// One.
pub async fn get(database: &Database, id: Uuid) -> Result<Option<External>, DatabaseError> {
    let external = sqlx::query_as(concat!(
        "select ",
        columns!(),
        " from external_services s where id = $1"
    ));
    Ok(external.bind(id).fetch_optional(database.pool()).await?)
}

/// One, locked until the transaction ends.
pub async fn locked(
    connection: &mut PgConnection,
    id: Uuid,
) -> Result<Option<External>, DatabaseError> {
    let external = sqlx::query_as(concat!(
        "select ",
        columns!(),
        " from external_services s where id = $1 for update"
    ));
    Ok(external.bind(id).fetch_optional(connection).await?)
}

/// Removes one and all that is known of it; false if there is none.
pub async fn remove(database: &Database, id: Uuid) -> Result<bool, DatabaseError> {
    let removed = sqlx::query("delete from external_services where id = $1")
        .bind(id)
        .execute(database.pool())
        .await?;
    Ok(removed.rows_affected() > 0)
}

//! Instances, and the numbered changes of them, which the tables' triggers
//! write down.

use std::time::Duration;

use kit::database::{Database, DatabaseError, commit};
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use crate::instance::{Instance, InstanceFilter, Registration};

/// Instances at once. A list of all is 10 MB then.
const INSTANCES_MAX: i64 = 5_000;
/// Changes that are kept for those who come back.
pub const CHANGES_KEPT: i64 = 4_096;
/// Expired instances that are forgotten at once.
const EXPIRED_MAX: i64 = 1_000;
/// Nobody has looked for longer than this: heartbeats may not have been heard
/// either.
const DEAF_AFTER: Duration = Duration::from_secs(5);

/// What happened to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Kind {
    /// It came.
    Added,
    /// It went, or was no longer heard.
    Removed,
}

/// A numbered change.
#[derive(Debug, Clone, FromRow)]
pub struct Change {
    /// Its number, from 1.
    pub number: i64,
    /// What happened.
    pub kind: Kind,
    /// To whom.
    #[sqlx(json)]
    pub instance: Instance,
}

/// Adds an instance; `None` if there is no room for more.
pub async fn register(
    database: &Database,
    told: &Registration,
) -> Result<Option<Instance>, DatabaseError> {
    let instance = sqlx::query_as(
        "insert into instances (id, name, url, tags, health, version, ttl_seconds, expires_at) \
         select $1, $2, $3, $4, $5, $6, $7, clock_timestamp() + $7 * interval '1 second' \
         where (select count(*) from instances) < $8 \
         returning id, name, url, tags, health, version, ttl_seconds, registered_at",
    )
    .bind(Uuid::new_v4())
    .bind(&told.name)
    .bind(&told.url)
    .bind(&told.tags)
    .bind(&told.health)
    .bind(&told.version)
    .bind(i32::try_from(told.ttl_seconds).unwrap_or(i32::MAX))
    .bind(INSTANCES_MAX)
    .fetch_optional(database.pool())
    .await?;
    Ok(instance)
}

/// Notes that an instance was heard; false if it is not known. `name`, where it
/// is given, must be its service.
///
/// It does not wait for the disk: a heartbeat that a crash loses is followed by
/// the next one, for which [`expire`] has the patience.
pub async fn heard(
    database: &Database,
    id: Uuid,
    name: Option<&str>,
) -> Result<bool, DatabaseError> {
    let heard = sqlx::query(
        "with quick as (select set_config('synchronous_commit', 'off', true)) \
         update instances set expires_at = clock_timestamp() + ttl_seconds * interval '1 second' \
         from quick where id = $1 and ($2::text is null or name = $2)",
    )
    .bind(id)
    .bind(name)
    .execute(database.pool())
    .await?;
    Ok(heard.rows_affected() > 0)
}

/// Removes an instance; false if it is not known.
pub async fn remove(
    database: &Database,
    id: Uuid,
    name: Option<&str>,
) -> Result<bool, DatabaseError> {
    let removed =
        sqlx::query("delete from instances where id = $1 and ($2::text is null or name = $2)")
            .bind(id)
            .bind(name)
            .execute(database.pool())
            .await?;
    Ok(removed.rows_affected() > 0)
}

/// The instances that somebody is interested in, the oldest first.
pub async fn find(
    database: &Database,
    wanted: &InstanceFilter,
) -> Result<Vec<Instance>, DatabaseError> {
    let found = sqlx::query_as(
        "select id, name, url, tags, health, version, ttl_seconds, registered_at from instances \
         where ($1::text is null or name = $1) and ($2::text is null or $2 = any(tags)) \
         order by name, registered_at, id",
    )
    .bind(wanted.name())
    .bind(wanted.tag())
    .fetch_all(database.pool())
    .await?;
    Ok(found)
}

/// How many there are.
pub async fn count(database: &Database) -> Result<i64, DatabaseError> {
    let count = sqlx::query_scalar("select count(*) from instances");
    Ok(count.fetch_one(database.pool()).await?)
}

/// Those somebody is interested in, and the number of the last change before.
pub async fn snapshot(
    database: &Database,
    wanted: &InstanceFilter,
) -> Result<(i64, Vec<Instance>), DatabaseError> {
    // One statement sees one moment.
    let (number, Json(found)): (i64, Json<Vec<Instance>>) = sqlx::query_as(
        "select (select number from last_change), \
         coalesce(jsonb_agg(to_jsonb(i) - 'expires_at' order by name, registered_at, id), '[]') \
         from instances i \
         where ($1::text is null or name = $1) and ($2::text is null or $2 = any(tags))",
    )
    .bind(wanted.name())
    .bind(wanted.tag())
    .fetch_one(database.pool())
    .await?;
    Ok((number, found))
}

/// The number of the last change.
pub async fn last_change(database: &Database) -> Result<i64, DatabaseError> {
    let last = sqlx::query_scalar("select number from last_change");
    Ok(last.fetch_one(database.pool()).await?)
}

/// The changes after a number that are kept, in order, at most `limit`.
pub async fn changes(
    database: &Database,
    after: i64,
    limit: i64,
) -> Result<Vec<Change>, DatabaseError> {
    let changes = sqlx::query_as(
        "select number, kind, instance from changes where number > $1 order by number limit $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(database.pool())
    .await?;
    Ok(changes)
}

/// Forgets instances that were not heard for their time to live. To be called
/// every second, by every instance of the registry: one at a time does it.
///
/// Where nobody did for a while, nobody may have heard them either: then each
/// stands for its whole time from now on. An outage empties nothing.
pub async fn expire(database: &Database) -> Result<u64, DatabaseError> {
    let mut transaction = database.begin().await?;
    let deaf: Option<bool> = sqlx::query_scalar(
        "select clock_timestamp() - at > $1 * interval '1 second' from last_sweep \
         for update skip locked",
    )
    .bind(DEAF_AFTER.as_secs_f64())
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(deaf) = deaf else { return Ok(0) };
    if deaf {
        sqlx::query(
            "update instances set expires_at = \
             greatest(expires_at, clock_timestamp() + ttl_seconds * interval '1 second')",
        )
        .execute(&mut *transaction)
        .await?;
    }
    let expired = sqlx::query(
        "delete from instances where id = any(array(select id from instances \
         where expires_at < clock_timestamp() limit $1)) and expires_at < clock_timestamp()",
    )
    .bind(EXPIRED_MAX)
    .execute(&mut *transaction)
    .await?;
    sqlx::query("update last_sweep set at = clock_timestamp()")
        .execute(&mut *transaction)
        .await?;
    commit(transaction).await?;
    Ok(expired.rows_affected())
}

/// Deletes changes that are no longer kept.
pub async fn sweep(database: &Database, limit: i64) -> Result<(), DatabaseError> {
    sqlx::query(
        "delete from changes where number = any(array(select number from changes \
         where number <= (select number from last_change) - $1 order by number limit $2))",
    )
    .bind(CHANGES_KEPT)
    .bind(limit)
    .execute(database.pool())
    .await?;
    Ok(())
}

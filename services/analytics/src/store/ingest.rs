//! Storing a batch: one statement for each kind of item, whatever its size.
//!
//! What is there already (by time and id) stays as it is. Beside the rows stands
//! which minutes have got some, for the roll-up, in the same transaction.

use std::collections::BTreeSet;

use kit::database::DatabaseError;
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::batch::{Event, RequestMetric, ResourceSample, ValidItems};
use crate::histogram;

const REQUESTS: &str = "insert into metrics \
     (at, id, service, endpoint, method, status, response_time, cell) \
     select * from unnest($1::timestamptz[], $2::uuid[], $3::text[], $4::text[], $5::text[], \
     $6::smallint[], $7::float8[], $8::smallint[]) on conflict do nothing";

const RESOURCES: &str = "insert into resources \
     (at, id, service, instance, cpu_cores, memory_bytes) \
     select * from unnest($1::timestamptz[], $2::uuid[], $3::text[], $4::text[], \
     $5::float8[], $6::bigint[]) on conflict do nothing";

const EVENTS: &str = "insert into events (at, id, service, name, user_id, properties) \
     select at, id, service, name, user_id, properties::jsonb \
     from unnest($1::timestamptz[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[]) \
     as items (at, id, service, name, user_id, properties) on conflict do nothing";

const ARRIVALS: &str = "insert into arrivals (minute, kind) \
     select to_timestamp(minute), $2 from unnest($1::bigint[]) as minutes (minute)";

/// Stores items in the transaction of `connection`; how many were new. Durable
/// once that commits.
pub async fn store(
    connection: &mut PgConnection,
    items: &ValidItems,
) -> Result<u64, DatabaseError> {
    let mut new = 0;
    if !items.requests.is_empty() {
        new += requests(connection, &items.requests).await?;
        let times = items.requests.iter().map(|one| one.at);
        arrived(connection, "request", times).await?;
    }
    if !items.resources.is_empty() {
        new += resources(connection, &items.resources).await?;
        let times = items.resources.iter().map(|one| one.at);
        arrived(connection, "resource", times).await?;
    }
    if !items.events.is_empty() {
        new += events(connection, &items.events).await?;
        let times = items.events.iter().map(|one| one.at);
        arrived(connection, "event", times).await?;
    }
    Ok(new)
}

/// One column of the items.
macro_rules! column {
    ($items:ident, |$one:ident| $value:expr) => {
        $items.iter().map(|$one| $value).collect::<Vec<_>>()
    };
}

async fn requests(
    connection: &mut PgConnection,
    items: &[RequestMetric],
) -> Result<u64, DatabaseError> {
    let done = sqlx::query(REQUESTS)
        .bind(column!(items, |one| one.at))
        .bind(column!(items, |one| one.id))
        .bind(column!(items, |one| one.service.as_str()))
        .bind(column!(items, |one| one.endpoint.as_str()))
        .bind(column!(items, |one| one.method.as_str()))
        .bind(column!(items, |one| one.status.cast_signed()))
        .bind(column!(items, |one| one.response_time))
        .bind(column!(items, |one| histogram::cell(one.response_time)))
        .execute(connection)
        .await;
    Ok(done.map_err(failed)?.rows_affected())
}

async fn resources(
    connection: &mut PgConnection,
    items: &[ResourceSample],
) -> Result<u64, DatabaseError> {
    let done = sqlx::query(RESOURCES)
        .bind(column!(items, |one| one.at))
        .bind(column!(items, |one| one.id))
        .bind(column!(items, |one| one.service.as_str()))
        .bind(column!(items, |one| one.instance.as_str()))
        .bind(column!(items, |one| one.cpu_cores))
        .bind(column!(items, |one| one.memory_bytes))
        .execute(connection)
        .await;
    Ok(done.map_err(failed)?.rows_affected())
}

async fn events(connection: &mut PgConnection, items: &[Event]) -> Result<u64, DatabaseError> {
    let properties = |one: &Event| serde_json::Value::Object(one.properties.clone()).to_string();
    let done = sqlx::query(EVENTS)
        .bind(column!(items, |one| one.at))
        .bind(column!(items, |one| one.id))
        .bind(column!(items, |one| one.service.as_str()))
        .bind(column!(items, |one| one.name.as_str()))
        .bind(column!(items, |one| one.user_id.as_deref()))
        .bind(column!(items, |one| properties(one)))
        .execute(connection)
        .await;
    Ok(done.map_err(failed)?.rows_affected())
}

async fn arrived(
    connection: &mut PgConnection,
    kind: &str,
    times: impl Iterator<Item = OffsetDateTime>,
) -> Result<(), DatabaseError> {
    let minutes: BTreeSet<i64> = times
        .map(|at| at.unix_timestamp().div_euclid(60) * 60)
        .collect();
    sqlx::query(ARRIVALS)
        .bind(minutes.into_iter().collect::<Vec<_>>())
        .bind(kind)
        .execute(connection)
        .await?;
    Ok(())
}

/// A row without a partition, which PostgreSQL tells as a broken check, is
/// nobody's defect: none could be made for days, or the clocks differ by one.
fn failed(error: sqlx::Error) -> DatabaseError {
    const CHECK_VIOLATION: &str = "23514";
    let is_missing = match &error {
        sqlx::Error::Database(answer) => answer.code().as_deref() == Some(CHECK_VIOLATION),
        _ => false,
    };
    if is_missing {
        return DatabaseError::Unavailable(error);
    }
    error.into()
}

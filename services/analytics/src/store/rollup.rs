//! Rolling up: minutes from rows, hours from minutes.
//!
//! Which minutes have got rows is written with the rows. A round takes some of
//! these notes away and writes those minutes anew from all their rows, and then
//! their hours from all their minutes, in one transaction. Writing a minute
//! again changes nothing, so it does not matter how often that is done; and the
//! statements see at least what the notes that were taken stand for, so nothing
//! is missed: a row that commits later brings a note of its own.
//!
//! Two rounds at once could overwrite the newer with the older. An advisory lock
//! of the transaction keeps instances apart, and is gone with whoever had it.

use std::collections::BTreeSet;

use kit::database::{Database, DatabaseError, commit};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::dashboard::moment;

/// Minutes per transaction.
const MINUTES: i64 = 5;

/// What a round came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RollupOutcome {
    /// There was nothing to do.
    Idle,
    /// Something was done; there may be more.
    Done,
    /// Another instance is at it.
    Elsewhere,
}

const TRY_LOCK: &str = "select pg_try_advisory_xact_lock(hashtextextended('analytics:rollup', 0))";

/// A minute of a busy hour takes longer to add up than a request may.
const SET_TIMEOUT: &str = "set local statement_timeout = '60s'";

const TAKE: &str = "with chosen as ( \
     select distinct minute from arrivals order by minute limit $1), \
     taken as (delete from arrivals where minute in (select minute from chosen) \
     returning kind, minute) \
     select distinct kind, minute from taken order by minute, kind";

/// Rolls up some minutes that have got rows. Durable when it returns.
pub async fn round(database: &Database) -> Result<RollupOutcome, DatabaseError> {
    let mut transaction = database.begin().await?;
    let locked: bool = sqlx::query_scalar(TRY_LOCK)
        .fetch_one(&mut *transaction)
        .await?;
    if !locked {
        return Ok(RollupOutcome::Elsewhere);
    }
    sqlx::query(SET_TIMEOUT).execute(&mut *transaction).await?;
    let minutes: Vec<(String, OffsetDateTime)> = sqlx::query_as(TAKE)
        .bind(MINUTES)
        .fetch_all(&mut *transaction)
        .await?;
    if minutes.is_empty() {
        return Ok(RollupOutcome::Idle);
    }
    let mut hours = BTreeSet::new();
    for (kind, minute) in &minutes {
        let kind = Kind::of(kind);
        write(&mut transaction, kind.minute(), *minute).await?;
        let hour = minute.unix_timestamp().div_euclid(3600) * 3600;
        hours.insert((kind, hour));
    }
    for (kind, hour) in hours {
        let hour = moment(hour);
        write(&mut transaction, kind.hour(), hour).await?;
    }
    commit(transaction).await?;
    Ok(RollupOutcome::Done)
}

async fn write(
    connection: &mut PgConnection,
    statement: &'static str,
    begins: OffsetDateTime,
) -> Result<(), DatabaseError> {
    sqlx::query(statement)
        .bind(begins)
        .execute(connection)
        .await?;
    Ok(())
}

/// What is rolled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Request,
    Resource,
    Event,
}

impl Kind {
    /// The table allows no others.
    fn of(name: &str) -> Self {
        match name {
            "request" => Self::Request,
            "resource" => Self::Resource,
            _ => Self::Event,
        }
    }

    fn minute(self) -> &'static str {
        match self {
            Self::Request => REQUESTS_MINUTE,
            Self::Resource => RESOURCES_MINUTE,
            Self::Event => EVENTS_MINUTE,
        }
    }

    fn hour(self) -> &'static str {
        match self {
            Self::Request => REQUESTS_HOUR,
            Self::Resource => RESOURCES_HOUR,
            Self::Event => EVENTS_HOUR,
        }
    }
}

/// The end of a statement that writes a roll-up of requests.
macro_rules! over_requests {
    () => {
        " on conflict (begins, service, endpoint, method) do update set \
         requests = excluded.requests, client_errors = excluded.client_errors, \
         server_errors = excluded.server_errors, unavailable = excluded.unavailable, \
         time_sum = excluded.time_sum, time_max = excluded.time_max, \
         cells = excluded.cells, counts = excluded.counts"
    };
}

macro_rules! over_resources {
    () => {
        " on conflict (begins, service, instance) do update set \
         minutes = excluded.minutes, cpu_minutes = excluded.cpu_minutes, \
         cpu_max = excluded.cpu_max, memory_minutes = excluded.memory_minutes, \
         memory_max = excluded.memory_max"
    };
}

/// Of each endpoint, and of the whole service.
const REQUESTS_MINUTE: &str = concat!(
    "insert into requests_by_minute \
     select $1, service, endpoint, method, sum(n)::bigint, sum(n4)::bigint, sum(n5)::bigint, \
     sum(n503)::bigint, sum(time_sum), max(time_max), \
     array_agg(cell order by cell), array_agg(n order by cell) \
     from (select service, coalesce(endpoint, '') as endpoint, \
         coalesce(method, '') as method, cell, count(*) as n, \
         count(*) filter (where status between 400 and 499) as n4, \
         count(*) filter (where status >= 500) as n5, \
         count(*) filter (where status between 502 and 504) as n503, \
         sum(response_time) as time_sum, max(response_time) as time_max \
         from metrics where at >= $1 and at < $1 + interval '1 minute' \
         group by grouping sets ((service, endpoint, method, cell), (service, cell))) as parts \
     group by service, endpoint, method",
    over_requests!()
);

const REQUESTS_HOUR: &str = concat!(
    "with minutes as (select * from requests_by_minute \
         where begins >= $1 and begins < $1 + interval '1 hour'), \
     sums as (select service, endpoint, method, sum(requests)::bigint as requests, \
         sum(client_errors)::bigint as client_errors, \
         sum(server_errors)::bigint as server_errors, sum(unavailable)::bigint as unavailable, \
         sum(time_sum) as time_sum, max(time_max) as time_max \
         from minutes group by service, endpoint, method), \
     parts as (select service, endpoint, method, cell, sum(count)::bigint as n \
         from minutes, unnest(cells, counts) as filled (cell, count) \
         group by service, endpoint, method, cell), \
     histograms as (select service, endpoint, method, \
         array_agg(cell order by cell) as cells, array_agg(n order by cell) as counts \
         from parts group by service, endpoint, method) \
     insert into requests_by_hour \
     select $1, service, endpoint, method, requests, client_errors, server_errors, unavailable, \
     time_sum, time_max, cells, counts \
     from sums join histograms using (service, endpoint, method)",
    over_requests!()
);

const RESOURCES_MINUTE: &str = concat!(
    "insert into resources_by_minute \
     select $1, service, instance, 1, avg(cpu_cores), max(cpu_cores), \
     avg(memory_bytes)::float8, max(memory_bytes) \
     from resources where at >= $1 and at < $1 + interval '1 minute' \
     group by service, instance",
    over_resources!()
);

const RESOURCES_HOUR: &str = concat!(
    "insert into resources_by_hour \
     select $1, service, instance, sum(minutes)::bigint, sum(cpu_minutes), max(cpu_max), \
     sum(memory_minutes), max(memory_max) \
     from resources_by_minute where begins >= $1 and begins < $1 + interval '1 hour' \
     group by service, instance",
    over_resources!()
);

const EVENTS_MINUTE: &str = "insert into events_by_minute \
     select $1, service, name, count(*) from events \
     where at >= $1 and at < $1 + interval '1 minute' group by service, name \
     on conflict (begins, service, name) do update set events = excluded.events";

const EVENTS_HOUR: &str = "insert into events_by_hour \
     select $1, service, name, sum(events)::bigint from events_by_minute \
     where begins >= $1 and begins < $1 + interval '1 hour' group by service, name \
     on conflict (begins, service, name) do update set events = excluded.events";

/// How many notes there are, and the age of the oldest minute among them.
pub async fn waiting(database: &Database) -> Result<(i64, f64), DatabaseError> {
    let waiting = sqlx::query_as(
        "select count(*), coalesce(extract(epoch from clock_timestamp() - min(minute)), 0)::float8 \
         from arrivals",
    );
    Ok(waiting.fetch_one(database.pool()).await?)
}

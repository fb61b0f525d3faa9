//! Reading roll-ups.

use kit::database::{Database, DatabaseError};
use sqlx::FromRow;
use std::time::Duration;
use time::OffsetDateTime;

use crate::figures::{RequestSums, ResourceSums};
use crate::histogram::Histogram;
use crate::range::{Range, Resolution};

/// Services in one answer.
const MAX_SERVICES: i64 = 1000;
/// Services, names and steps of events in one answer.
pub const MAX_COUNTS: i64 = 5000;

/// What requests are added up by, beside their service and the range's steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBy {
    /// Nothing more.
    Service,
    /// Endpoint and method; so many of the slowest, on average.
    Endpoint { slowest: u8 },
}

/// Requests of one group.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestGroup {
    pub service: String,
    /// Empty for a whole service.
    pub endpoint: String,
    pub method: String,
    /// Seconds since 1970.
    pub begins: i64,
    pub sums: RequestSums,
}

/// By minute or by hour, of endpoints or of whole services.
macro_rules! requests {
    ($table:literal, $endpoint:literal) => {
        concat!(
            "with chosen as (select service, endpoint, method, \
                 date_bin($4, begins, $1) as step, requests, client_errors, server_errors, \
                 unavailable, time_sum, time_max, cells, counts from ",
            $table,
            " where begins >= $1 and begins < $2 and ($3::text is null or service = $3) \
                 and endpoint ",
            $endpoint,
            " ''), \
             sums as (select service, endpoint, method, step, sum(requests)::bigint as requests, \
                 sum(client_errors)::bigint as client_errors, \
                 sum(server_errors)::bigint as server_errors, \
                 sum(unavailable)::bigint as unavailable, \
                 sum(time_sum) as time_sum, max(time_max) as time_max \
                 from chosen group by service, endpoint, method, step \
                 order by sum(time_sum) / sum(requests) desc, service, endpoint, method limit $5), \
             parts as (select service, endpoint, method, step, cell, sum(count)::bigint as n \
                 from chosen join sums using (service, endpoint, method, step), \
                 unnest(cells, counts) as filled (cell, count) \
                 group by service, endpoint, method, step, cell), \
             histograms as (select service, endpoint, method, step, \
                 array_agg(cell) as cells, array_agg(n) as counts \
                 from parts group by service, endpoint, method, step) \
             select * from sums join histograms using (service, endpoint, method, step) \
             order by time_sum / requests desc, service, endpoint, method"
        )
    };
}

#[derive(FromRow)]
struct RequestRow {
    service: String,
    endpoint: String,
    method: String,
    step: OffsetDateTime,
    requests: i64,
    client_errors: i64,
    server_errors: i64,
    unavailable: i64,
    time_sum: f64,
    time_max: f64,
    cells: Vec<i16>,
    counts: Vec<i64>,
}

/// Requests in a range, of one service or of all. The slowest groups first.
pub async fn requests(
    database: &Database,
    range: Range,
    service: Option<&str>,
    by: GroupBy,
) -> Result<Vec<RequestGroup>, DatabaseError> {
    let statement = match (range.resolution, by) {
        (Resolution::Minute, GroupBy::Service) => requests!("requests_by_minute", "="),
        (Resolution::Hour, GroupBy::Service) => requests!("requests_by_hour", "="),
        (Resolution::Minute, GroupBy::Endpoint { .. }) => requests!("requests_by_minute", "<>"),
        (Resolution::Hour, GroupBy::Endpoint { .. }) => requests!("requests_by_hour", "<>"),
    };
    let limit = match by {
        GroupBy::Service => MAX_SERVICES.max(range.points()),
        GroupBy::Endpoint { slowest } => i64::from(slowest),
    };
    let rows: Vec<RequestRow> = sqlx::query_as(statement)
        .bind(moment(range.from))
        .bind(moment(range.to))
        .bind(service)
        .bind(step(range))
        .bind(limit)
        .fetch_all(database.pool())
        .await?;
    let group = |row: RequestRow| RequestGroup {
        service: row.service,
        endpoint: row.endpoint,
        method: row.method,
        begins: row.step.unix_timestamp(),
        sums: RequestSums {
            requests: row.requests.unsigned_abs(),
            client_errors: row.client_errors.unsigned_abs(),
            server_errors: row.server_errors.unsigned_abs(),
            unavailable: row.unavailable.unsigned_abs(),
            time_sum: row.time_sum,
            time_max: row.time_max,
            times: Histogram::of(&row.cells, &row.counts),
        },
    };
    Ok(rows.into_iter().map(group).collect())
}

/// Resource use of one service in one step.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceGroup {
    pub service: String,
    /// Seconds since 1970.
    pub begins: i64,
    pub sums: ResourceSums,
}

macro_rules! resources {
    ($table:literal) => {
        concat!(
            "select service, date_bin($4, begins, $1) as step, count(distinct instance), \
             sum(minutes)::bigint, sum(cpu_minutes), max(cpu_max), \
             sum(memory_minutes), max(memory_max) from ",
            $table,
            " where begins >= $1 and begins < $2 and ($3::text is null or service = $3) \
             group by service, step order by service, step limit $5"
        )
    };
}

/// Resource use in a range, of one service or of all.
pub async fn resources(
    database: &Database,
    range: Range,
    service: Option<&str>,
) -> Result<Vec<ResourceGroup>, DatabaseError> {
    type Row = (String, OffsetDateTime, i64, i64, f64, f64, f64, i64);
    let statement = match range.resolution {
        Resolution::Minute => resources!("resources_by_minute"),
        Resolution::Hour => resources!("resources_by_hour"),
    };
    let rows: Vec<Row> = sqlx::query_as(statement)
        .bind(moment(range.from))
        .bind(moment(range.to))
        .bind(service)
        .bind(step(range))
        .bind(MAX_SERVICES.max(range.points()))
        .fetch_all(database.pool())
        .await?;
    let group = |row: Row| ResourceGroup {
        service: row.0,
        begins: row.1.unix_timestamp(),
        sums: ResourceSums {
            instances: row.2.unsigned_abs(),
            minutes: row.3.unsigned_abs(),
            cpu_minutes: row.4,
            cpu_max: row.5,
            memory_minutes: row.6,
            memory_max: row.7.unsigned_abs(),
        },
    };
    Ok(rows.into_iter().map(group).collect())
}

/// Events of one name in one step.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct EventGroup {
    pub step: OffsetDateTime,
    pub service: String,
    pub name: String,
    pub events: i64,
}

macro_rules! events {
    ($table:literal) => {
        concat!(
            "select date_bin($5, begins, $1) as step, service, name, \
             sum(events)::bigint as events from ",
            $table,
            " where begins >= $1 and begins < $2 and ($3::text is null or service = $3) \
             and ($4::text is null or name = $4) \
             group by step, service, name order by step desc, service, name limit $6"
        )
    };
}

/// How often what happened in a range, the latest first.
pub async fn events(
    database: &Database,
    range: Range,
    service: Option<&str>,
    name: Option<&str>,
) -> Result<Vec<EventGroup>, DatabaseError> {
    let statement = match range.resolution {
        Resolution::Minute => events!("events_by_minute"),
        Resolution::Hour => events!("events_by_hour"),
    };
    let rows = sqlx::query_as(statement)
        .bind(moment(range.from))
        .bind(moment(range.to))
        .bind(service)
        .bind(name)
        .bind(step(range))
        .bind(MAX_COUNTS)
        .fetch_all(database.pool())
        .await?;
    Ok(rows)
}

fn step(range: Range) -> Duration {
    Duration::from_secs(range.step.unsigned_abs())
}

/// A range is within years that there are.
pub fn moment(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

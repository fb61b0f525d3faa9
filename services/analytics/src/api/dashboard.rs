//! What services did and what they cost.

use std::collections::BTreeMap;

use axum::extract::State;
use kit::auth::Caller;
use kit::{Json, Path, Problem, Query};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::callers;
use super::state::App;
use crate::batch::{is_event_name, is_service};
use crate::figures::{RequestFigures, RequestSums, ResourceFigures, ResourceSums};
use crate::range::{Range, RangeQuery, Resolution};
use crate::store::dashboard::{self, GroupBy, MAX_COUNTS, moment};

const SLOWEST: u8 = 10;
const MOST_SLOWEST: u8 = 100;

/// Over which time.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Span {
    /// Since when (RFC 3339); an hour before `to`, unless said.
    #[serde(default, with = "time::serde::rfc3339::option")]
    from: Option<OffsetDateTime>,
    /// Until when; now, unless said. At most 400 days after `from`.
    #[serde(default, with = "time::serde::rfc3339::option")]
    to: Option<OffsetDateTime>,
}

/// Over which time, and in which steps.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StepQuery {
    /// Since when (RFC 3339); an hour before `to`, unless said.
    #[serde(default, with = "time::serde::rfc3339::option")]
    from: Option<OffsetDateTime>,
    /// Until when; now, unless said. At most 400 days after `from`.
    #[serde(default, with = "time::serde::rfc3339::option")]
    to: Option<OffsetDateTime>,
    /// Seconds; a multiple of 60 within two days, else of 3600. At most 1500 steps.
    step: Option<u32>,
}

/// Which endpoints.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Slow {
    /// Since when (RFC 3339); an hour before `to`, unless said.
    #[serde(default, with = "time::serde::rfc3339::option")]
    from: Option<OffsetDateTime>,
    /// Until when; now, unless said. At most 400 days after `from`.
    #[serde(default, with = "time::serde::rfc3339::option")]
    to: Option<OffsetDateTime>,
    /// Of one service only.
    service: Option<String>,
    /// How many; 10 unless said, at most 100.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u8>,
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// Since when (RFC 3339); an hour before `to`, unless said.
    #[serde(default, with = "time::serde::rfc3339::option")]
    from: Option<OffsetDateTime>,
    /// Until when; now, unless said. At most 400 days after `from`.
    #[serde(default, with = "time::serde::rfc3339::option")]
    to: Option<OffsetDateTime>,
    /// Seconds; a multiple of 60 within two days, else of 3600. At most 1500 steps.
    step: Option<u32>,
    /// Of one service only.
    service: Option<String>,
    /// Of one name only.
    name: Option<String>,
}

/// The time that an answer is about: what was asked for, in whole minutes or hours.
#[derive(Debug, Serialize, ToSchema)]
pub struct Over {
    #[serde(with = "time::serde::rfc3339")]
    from: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    to: OffsetDateTime,
    step_seconds: i64,
    resolution: Resolution,
}

impl From<Range> for Over {
    fn from(range: Range) -> Self {
        Self {
            from: moment(range.from),
            to: moment(range.to),
            step_seconds: range.step,
            resolution: range.resolution,
        }
    }
}

/// A service over the whole time.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceFigures {
    service: String,
    requests: RequestFigures,
    /// Null where no instance reported.
    resources: Option<ResourceFigures>,
}

/// All services.
#[derive(Debug, Serialize, ToSchema)]
pub struct Overview {
    over: Over,
    /// Of all costs.
    currency: String,
    /// By name.
    services: Vec<ServiceFigures>,
}

/// A step.
#[derive(Debug, Serialize, ToSchema)]
pub struct Point {
    /// When it begins.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    requests: RequestFigures,
    /// Null where no instance reported.
    resources: Option<ResourceFigures>,
}

/// One service, step by step.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceReport {
    over: Over,
    /// Of all costs.
    currency: String,
    service: String,
    requests: RequestFigures,
    /// Null where no instance reported.
    resources: Option<ResourceFigures>,
    /// Every step, the earliest first.
    series: Vec<Point>,
}

/// An endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointFigures {
    service: String,
    endpoint: String,
    method: String,
    requests: RequestFigures,
}

/// The slowest endpoints.
#[derive(Debug, Serialize, ToSchema)]
pub struct SlowEndpoints {
    over: Over,
    /// The slowest on average first.
    endpoints: Vec<EndpointFigures>,
}

/// Events of one name.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventCount {
    /// When the step begins.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    service: String,
    name: String,
    events: i64,
}

/// How often what happened.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventCounts {
    over: Over,
    /// The latest first; steps without any are left out.
    counts: Vec<EventCount>,
    /// There were more than 5000: the earliest are left out.
    truncated: bool,
}

impl App {
    fn range(&self, asked: RangeQuery, now: OffsetDateTime) -> Result<Range, Problem> {
        Range::of(asked, now, self.retention.minutes)
    }
}

fn known(service: Option<&str>) -> Result<(), Problem> {
    if service.is_none_or(is_service) {
        return Ok(());
    }
    Err(Problem::invalid_field(
        "service",
        "must be the name of a service",
    ))
}

/// All services: availability, times, errors, throughput, resources, cost.
#[utoipa::path(get, path = "/analytics/overview", params(Span),
    responses((status = 200, body = Overview)),
    security(("key" = []), ("service" = []), ("user" = [])))]
pub async fn overview(
    State(app): State<App>,
    caller: Caller,
    Query(span): Query<Span>,
) -> Result<Json<Overview>, Problem> {
    callers::reader(&caller, &app.reader_role)?;
    let now = OffsetDateTime::now_utc();
    let asked = RangeQuery {
        from: span.from,
        to: span.to,
        step_seconds: None,
    };
    let range = app.range(asked, now)?.whole();
    let mut services: BTreeMap<String, (RequestSums, ResourceSums)> = BTreeMap::new();
    for group in dashboard::requests(&app.database, range, None, GroupBy::Service).await? {
        services.entry(group.service).or_default().0 = group.sums;
    }
    for group in dashboard::resources(&app.database, range, None).await? {
        services.entry(group.service).or_default().1 = group.sums;
    }
    let passed = range.passed(range.from, now);
    let services = services.into_iter().map(|(service, sums)| ServiceFigures {
        service,
        requests: sums.0.figures(passed),
        resources: sums.1.figures(&app.rates),
    });
    Ok(Json(Overview {
        over: range.into(),
        currency: app.rates.currency.clone(),
        services: services.collect(),
    }))
}

/// One service, as a whole and step by step.
#[utoipa::path(get, path = "/analytics/services/{service}",
    params(("service" = String, Path, description = "Its name."), StepQuery),
    responses((status = 200, body = ServiceReport)),
    security(("key" = []), ("service" = []), ("user" = [])))]
pub async fn service(
    State(app): State<App>,
    caller: Caller,
    Path(service): Path<String>,
    Query(steps): Query<StepQuery>,
) -> Result<Json<ServiceReport>, Problem> {
    callers::reader(&caller, &app.reader_role)?;
    known(Some(&service))?;
    let now = OffsetDateTime::now_utc();
    let asked = RangeQuery {
        from: steps.from,
        to: steps.to,
        step_seconds: steps.step,
    };
    let range = app.range(asked, now)?;
    let mut requests = BTreeMap::new();
    let mut all_requests = RequestSums::default();
    for group in dashboard::requests(&app.database, range, Some(&service), GroupBy::Service).await?
    {
        all_requests.add(&group.sums);
        requests.insert(group.begins, group.sums);
    }
    let mut resources = BTreeMap::new();
    for group in dashboard::resources(&app.database, range, Some(&service)).await? {
        resources.insert(group.begins, group.sums);
    }
    // Instances of steps do not add up.
    let all_resources = dashboard::resources(&app.database, range.whole(), Some(&service)).await?;
    let series = range.steps().map(|begins| Point {
        at: moment(begins),
        requests: requests
            .remove(&begins)
            .unwrap_or_default()
            .figures(range.passed(begins, now)),
        resources: resources
            .get(&begins)
            .and_then(|sums: &ResourceSums| sums.figures(&app.rates)),
    });
    Ok(Json(ServiceReport {
        series: series.collect(),
        over: range.into(),
        currency: app.rates.currency.clone(),
        service,
        requests: all_requests.figures(range.whole().passed(range.from, now)),
        resources: all_resources
            .first()
            .and_then(|group| group.sums.figures(&app.rates)),
    }))
}

/// The endpoints that are the slowest on average.
#[utoipa::path(get, path = "/analytics/slow-endpoints", params(Slow),
    responses((status = 200, body = SlowEndpoints)),
    security(("key" = []), ("service" = []), ("user" = [])))]
pub async fn slow_endpoints(
    State(app): State<App>,
    caller: Caller,
    Query(slow): Query<Slow>,
) -> Result<Json<SlowEndpoints>, Problem> {
    callers::reader(&caller, &app.reader_role)?;
    known(slow.service.as_deref())?;
    let slowest = slow.limit.unwrap_or(SLOWEST);
    if !(1..=MOST_SLOWEST).contains(&slowest) {
        return Err(Problem::invalid_field("limit", "must be from 1 to 100"));
    }
    let now = OffsetDateTime::now_utc();
    let asked = RangeQuery {
        from: slow.from,
        to: slow.to,
        step_seconds: None,
    };
    let range = app.range(asked, now)?.whole();
    let service = slow.service.as_deref();
    let groups =
        dashboard::requests(&app.database, range, service, GroupBy::Endpoint { slowest }).await?;
    let passed = range.passed(range.from, now);
    let endpoints = groups.into_iter().map(|group| EndpointFigures {
        service: group.service,
        endpoint: group.endpoint,
        method: group.method,
        requests: group.sums.figures(passed),
    });
    Ok(Json(SlowEndpoints {
        over: range.into(),
        endpoints: endpoints.collect(),
    }))
}

/// How often what happened, step by step.
#[utoipa::path(get, path = "/analytics/events", operation_id = "count_events", params(EventQuery),
    responses((status = 200, body = EventCounts)),
    security(("key" = []), ("service" = []), ("user" = [])))]
pub async fn events(
    State(app): State<App>,
    caller: Caller,
    Query(happened): Query<EventQuery>,
) -> Result<Json<EventCounts>, Problem> {
    callers::reader(&caller, &app.reader_role)?;
    let (service, name) = (happened.service.as_deref(), happened.name.as_deref());
    known(service)?;
    if !name.is_none_or(is_event_name) {
        return Err(Problem::invalid_field(
            "name",
            "must be the name of an event",
        ));
    }
    let asked = RangeQuery {
        from: happened.from,
        to: happened.to,
        step_seconds: happened.step,
    };
    let range = app.range(asked, OffsetDateTime::now_utc())?;
    let groups = dashboard::events(&app.database, range, service, name).await?;
    let truncated = i64::try_from(groups.len()).unwrap_or(i64::MAX) >= MAX_COUNTS;
    let counts = groups.into_iter().map(|group| EventCount {
        at: group.step,
        service: group.service,
        name: group.name,
        events: group.events,
    });
    Ok(Json(EventCounts {
        over: range.into(),
        counts: counts.collect(),
        truncated,
    }))
}

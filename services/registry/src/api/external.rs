//! External services: told of, checked, looked at.

use axum::extract::State;
use http::StatusCode;
use kit::auth::Caller;
use kit::{Json, Path, Problem, Query};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::scope::Scope;
use super::state::App;
use crate::external::{External, ExternalRegistration};
use crate::health;
use crate::store::external::{self as store, EXTERNAL_MAX, WriteOutcome};
use crate::store::health::{Check, Transition, report};
use crate::store::tasks::{self, Work};

/// Which external services somebody is interested in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    kind: Option<String>,
    state: Option<health::State>,
}

/// How an external service is, and was.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthReport {
    state: health::State,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    since: OffsetDateTime,
    /// Checks in a row that did not fail.
    passes: i32,
    /// Checks in a row that did.
    failures: i32,
    /// The last 100 checks, the newest first.
    checks: Vec<Check>,
    /// The last 100 changes of state, the newest first.
    transitions: Vec<Transition>,
}

/// Work that will be done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Asked)]
pub struct ScheduledWork {
    /// What comes next.
    pub detail: &'static str,
}

/// The answer where there is no such service.
pub(super) fn unknown() -> Problem {
    Problem::not_found("The external service is not known.")
}

/// One that must be there.
pub(super) async fn known(app: &App, caller: &Caller, id: Uuid) -> Result<External, Problem> {
    Scope::of(caller)?;
    store::get(&app.database, id).await?.ok_or_else(unknown)
}

fn answer(
    written: WriteOutcome,
    status: StatusCode,
) -> Result<(StatusCode, Json<External>), Problem> {
    let refused = |kind, detail| Err(Problem::new(StatusCode::CONFLICT, kind, detail));
    match written {
        WriteOutcome::Done(external) => Ok((status, Json(external))),
        WriteOutcome::NameTaken => refused(
            "name-taken",
            "Another external service has the name; replace that one, or take another.".to_owned(),
        ),
        WriteOutcome::Full => refused(
            "too-many-external-services",
            format!("There are {EXTERNAL_MAX} external services; remove one."),
        ),
        WriteOutcome::Unknown => Err(unknown()),
    }
}

/// Registers an external service.
///
/// It is checked, and its reference panels are asked for, at once and then at
/// its intervals.
#[utoipa::path(post, path = "/registry/external", request_body = ExternalRegistration,
    responses((status = 201, body = External)), security(("key" = []), ("service" = [])))]
pub async fn add(
    State(app): State<App>,
    caller: Caller,
    Json(told): Json<ExternalRegistration>,
) -> Result<(StatusCode, Json<External>), Problem> {
    Scope::of(&caller)?;
    let told = told.checked(app.destinations)?;
    let written = store::add(&app.database, &told).await?;
    answer(written, StatusCode::CREATED)
}

/// Lists external services by name.
#[utoipa::path(get, path = "/registry/external",
    params(
        ("kind" = Option<String>, Query, description = "Of this kind."),
        ("state" = Option<health::State>, Query, description = "In this state."),
    ),
    responses((status = 200, body = Vec<External>)), security(("key" = []), ("service" = [])))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(filter): Query<Filter>,
) -> Result<Json<Vec<External>>, Problem> {
    Scope::of(&caller)?;
    let all = store::list(&app.database, filter.kind.as_deref(), filter.state).await?;
    Ok(Json(all))
}

/// Shows an external service.
#[utoipa::path(get, path = "/registry/external/{id}", params(("id" = Uuid, Path)),
    responses((status = 200, body = External)), security(("key" = []), ("service" = [])))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<External>, Problem> {
    Ok(Json(known(&app, &caller, id).await?))
}

/// Replaces what is told of an external service; what is known of it stays.
#[utoipa::path(put, path = "/registry/external/{id}", params(("id" = Uuid, Path)),
    request_body = ExternalRegistration,
    responses((status = 200, body = External)), security(("key" = []), ("service" = [])))]
pub async fn replace(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Json(told): Json<ExternalRegistration>,
) -> Result<(StatusCode, Json<External>), Problem> {
    Scope::of(&caller)?;
    let told = told.checked(app.destinations)?;
    let written = store::replace(&app.database, id, &told).await?;
    answer(written, StatusCode::OK)
}

/// Removes an external service and all that is known of it.
#[utoipa::path(delete, path = "/registry/external/{id}", params(("id" = Uuid, Path)),
    responses((status = 204, description = "It is gone.")),
    security(("key" = []), ("service" = [])))]
pub async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    Scope::of(&caller)?;
    if store::remove(&app.database, id).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(unknown())
}

/// Says how an external service is, and was.
#[utoipa::path(get, path = "/registry/external/{id}/health", params(("id" = Uuid, Path)),
    responses((status = 200, body = HealthReport)), security(("key" = []), ("service" = [])))]
pub async fn health(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<HealthReport>, Problem> {
    Scope::of(&caller)?;
    let report = report(&app.database, id).await?;
    let (service, checks, transitions) = report.ok_or_else(unknown)?;
    Ok(Json(HealthReport {
        state: service.state,
        since: service.state_since,
        passes: service.passes,
        failures: service.failures,
        checks,
        transitions,
    }))
}

/// Has an external service checked now.
#[utoipa::path(post, path = "/registry/external/{id}/check", params(("id" = Uuid, Path)),
    responses((status = 202, body = ScheduledWork)), security(("key" = []), ("service" = [])))]
pub async fn check(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<(StatusCode, Json<ScheduledWork>), Problem> {
    Scope::of(&caller)?;
    if !tasks::ask(&app.database, id, Work::Check).await? {
        return Err(unknown());
    }
    let detail = "It is checked now; its health has what comes of it.";
    Ok((StatusCode::ACCEPTED, Json(ScheduledWork { detail })))
}

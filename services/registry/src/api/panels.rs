//! Reference panels of external services: now, by version, and compared.

use axum::extract::State;
use http::StatusCode;
use kit::auth::Caller;
use kit::{Json, Path, Problem, Query};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::external::{ScheduledWork, known};
use super::scope::Scope;
use super::state::App;
use crate::difference::Difference;
use crate::store::panels::{self as store, CatalogueVersion, Sync, VersionCounts};
use crate::store::tasks::{self, Work};

/// Two versions to compare.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionRange {
    from: i32,
    to: i32,
}

/// What has changed between two versions.
#[derive(Debug, Serialize, ToSchema)]
pub struct Comparison {
    /// The earlier version.
    from: i32,
    /// The later one.
    to: i32,
    #[serde(flatten)]
    difference: Difference,
}

async fn kept(app: &App, id: Uuid, number: i32) -> Result<CatalogueVersion, Problem> {
    let version = store::version(app.database.pool(), id, number).await?;
    version.ok_or_else(|| {
        Problem::not_found("The catalogue has no such version, or it is no longer kept.")
    })
}

/// The catalogue of an external service as it is now.
#[utoipa::path(get, path = "/registry/external/{id}/panels", params(("id" = Uuid, Path)),
    responses((status = 200, body = CatalogueVersion)), security(("key" = []), ("service" = [])))]
pub async fn catalogue(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<CatalogueVersion>, Problem> {
    known(&app, &caller, id).await?;
    let last = store::last_version(&app.database, id).await?;
    last.map(Json)
        .ok_or_else(|| Problem::not_found("No catalogue was found yet; its syncs say why."))
}

/// The versions of a catalogue that are kept, the newest first.
#[utoipa::path(get, path = "/registry/external/{id}/panels/versions", params(("id" = Uuid, Path)),
    responses((status = 200, body = Vec<VersionCounts>)),
    security(("key" = []), ("service" = [])))]
pub async fn versions(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<Vec<VersionCounts>>, Problem> {
    known(&app, &caller, id).await?;
    Ok(Json(store::versions(&app.database, id).await?))
}

/// A version of a catalogue, and what has changed since the one before.
#[utoipa::path(get, path = "/registry/external/{id}/panels/versions/{version}",
    params(("id" = Uuid, Path), ("version" = i32, Path)),
    responses((status = 200, body = CatalogueVersion)), security(("key" = []), ("service" = [])))]
pub async fn version(
    State(app): State<App>,
    caller: Caller,
    Path((id, number)): Path<(Uuid, i32)>,
) -> Result<Json<CatalogueVersion>, Problem> {
    known(&app, &caller, id).await?;
    Ok(Json(kept(&app, id, number).await?))
}

/// What has changed between any two versions.
#[utoipa::path(get, path = "/registry/external/{id}/panels/diff",
    params(
        ("id" = Uuid, Path),
        ("from" = i32, Query, description = "The earlier version."),
        ("to" = i32, Query, description = "The later version."),
    ),
    responses((status = 200, body = Comparison)), security(("key" = []), ("service" = [])))]
pub async fn difference(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Query(VersionRange { from, to }): Query<VersionRange>,
) -> Result<Json<Comparison>, Problem> {
    known(&app, &caller, id).await?;
    let earlier = kept(&app, id, from).await?.catalogue();
    let later = kept(&app, id, to).await?.catalogue();
    let difference = Difference::between(&earlier, &later);
    Ok(Json(Comparison {
        from,
        to,
        difference,
    }))
}

/// Has the catalogue asked for now.
#[utoipa::path(post, path = "/registry/external/{id}/panels/sync", params(("id" = Uuid, Path)),
    responses((status = 202, body = ScheduledWork)), security(("key" = []), ("service" = [])))]
pub async fn sync(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<(StatusCode, Json<ScheduledWork>), Problem> {
    Scope::of(&caller)?;
    if !tasks::ask(&app.database, id, Work::Sync).await? {
        known(&app, &caller, id).await?;
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "no-reference-panels",
            "The service was registered without reference panels; set sync_interval_seconds.",
        ));
    }
    let detail = "Its catalogue is asked for now; its syncs have what comes of it.";
    Ok((StatusCode::ACCEPTED, Json(ScheduledWork { detail })))
}

/// What came of the last 100 syncs, the newest first.
#[utoipa::path(get, path = "/registry/external/{id}/panels/syncs", params(("id" = Uuid, Path)),
    responses((status = 200, body = Vec<Sync>)), security(("key" = []), ("service" = [])))]
pub async fn syncs(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<Vec<Sync>>, Problem> {
    known(&app, &caller, id).await?;
    Ok(Json(store::syncs(&app.database, id).await?))
}

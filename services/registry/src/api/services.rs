//! Instances: they come, are heard, go and are found.

use axum::extract::State;
use http::StatusCode;
use kit::auth::Caller;
use kit::{Json, Path, Problem, Query};
use uuid::Uuid;

use super::scope::Scope;
use super::state::App;
use crate::instance::{Instance, InstanceFilter, Registration};
use crate::store::instances;

/// Registers an instance.
///
/// Without a heartbeat within its time to live it is forgotten. Who registers
/// twice is there twice until then.
#[utoipa::path(post, path = "/registry/services", request_body = Registration,
    responses((status = 201, body = Instance)), security(("key" = []), ("service" = [])))]
pub async fn register(
    State(app): State<App>,
    caller: Caller,
    Json(told): Json<Registration>,
) -> Result<(StatusCode, Json<Instance>), Problem> {
    let scope = Scope::of(&caller)?;
    let told = told.checked()?;
    if scope.only().is_some_and(|name| name != told.name) {
        return Err(Problem::forbidden(
            "A service's token registers that service only.",
        ));
    }
    match instances::register(&app.database, &told).await? {
        Some(instance) => Ok((StatusCode::CREATED, Json(instance))),
        None => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "registry-full",
            "There are too many instances; remove some, or wait until some expire.",
        )),
    }
}

/// Hears an instance.
#[utoipa::path(put, path = "/registry/services/{id}/heartbeat", params(("id" = Uuid, Path)),
    responses((status = 204, description = "It stands for its time to live.")),
    security(("key" = []), ("service" = [])))]
pub async fn heard(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    let scope = Scope::of(&caller)?;
    let heard = instances::heard(&app.database, id, scope.only()).await?;
    if heard {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::not_found(
        "The instance is not known, or no longer: register it.",
    ))
}

/// Removes an instance.
#[utoipa::path(delete, path = "/registry/services/{id}", params(("id" = Uuid, Path)),
    responses((status = 204, description = "It is gone.")),
    security(("key" = []), ("service" = [])))]
pub async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    let scope = Scope::of(&caller)?;
    if instances::remove(&app.database, id, scope.only()).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::not_found("The instance is not known."))
}

/// Finds instances, the oldest first.
///
/// One address is there more than once where several instances share it, or
/// where one was killed and came back.
#[utoipa::path(get, path = "/registry/services",
    params(
        ("name" = Option<String>, Query, description = "Of this service."),
        ("tag" = Option<String>, Query, description = "With this tag."),
    ),
    responses((status = 200, body = Vec<Instance>)), security(("key" = []), ("service" = [])))]
pub async fn find(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<InstanceFilter>,
) -> Result<Json<Vec<Instance>>, Problem> {
    Scope::of(&caller)?;
    Ok(Json(instances::find(&app.database, &wanted).await?))
}

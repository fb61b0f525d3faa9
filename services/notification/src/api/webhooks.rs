//! Users' web-hooks.

use aws_lc_rs::rand;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kit::auth::Caller;
use kit::{Json, Path, Problem, Query, outside};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::callers;
use super::state::App;
use crate::store::webhooks;
use crate::webhook::signature;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whose {
    user_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct New {
    user_id: Option<String>,
    url: String,
}

pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(whose): Query<Whose>,
) -> Result<Response, Problem> {
    let user = callers::user(&caller, whose.user_id, "user_id")?;
    let hooks = webhooks::list(&app.database, &user).await?;
    Ok(Json(json!({ "webhooks": hooks })).into_response())
}

/// The secret is told here and never again.
pub async fn add(
    State(app): State<App>,
    caller: Caller,
    Json(new): Json<New>,
) -> Result<Response, Problem> {
    let user = callers::user(&caller, new.user_id, "/user_id")?;
    let url = outside::parse(&new.url, app.destinations)
        .map_err(|reason| Problem::invalid_field("/url", reason))?;
    let mut secret = [0; signature::SECRET_BYTES];
    rand::fill(&mut secret).map_err(|_| Problem::internal())?;
    match webhooks::add(&app.database, &user, url.as_str(), &secret).await? {
        Some(hook) => {
            let secret = signature::written(&secret);
            let document = json!({ "id": hook.id, "url": hook.url, "secret": secret });
            Ok((StatusCode::CREATED, Json(document)).into_response())
        }
        None => Err(Problem::new(
            StatusCode::CONFLICT,
            "too-many-webhooks",
            format!(
                "The user has {} web-hooks; remove one.",
                webhooks::MAX_PER_USER
            ),
        )),
    }
}

pub async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Query(whose): Query<Whose>,
) -> Result<Response, Problem> {
    let user = callers::user(&caller, whose.user_id, "user_id")?;
    if webhooks::remove(&app.database, &user, id).await? {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Err(Problem::not_found("The user has no such web-hook."))
}

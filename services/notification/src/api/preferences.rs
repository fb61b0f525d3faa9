//! What users want.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use kit::auth::Caller;
use kit::{Json, Path, Problem};

use super::callers;
use super::state::App;
use crate::message::Preferences;
use crate::store::preferences;

const POINTER: &str = "user_id";

pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(user): Path<String>,
) -> Result<Response, Problem> {
    let user = callers::user(&caller, Some(user), POINTER)?;
    let mut connection = app.database.begin().await?;
    let wanted = preferences::of(&mut connection, &user).await?;
    Ok(Json(wanted).into_response())
}

pub async fn replace(
    State(app): State<App>,
    caller: Caller,
    Path(user): Path<String>,
    Json(wanted): Json<Preferences>,
) -> Result<Response, Problem> {
    let user = callers::user(&caller, Some(user), POINTER)?;
    let wanted = wanted.checked()?;
    preferences::set(&app.database, &user, &wanted).await?;
    Ok(Json(wanted).into_response())
}

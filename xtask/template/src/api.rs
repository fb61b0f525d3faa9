//! The addresses it answers at. What is said of them here is also what
//! `/openapi.json` says.

use axum::extract::State;
use http::StatusCode;
use kit::database::Database;
use kit::auth::Caller;
use kit::openapi::{OpenApiRouter, routes};
use kit::{Json, Path, Problem};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::note::{self, Note};

/// What every request may need.
#[derive(Debug, Clone)]
pub struct App {
    pub database: Database,
    pub longest: usize,
}

pub fn routes(app: App) -> OpenApiRouter {
    OpenApiRouter::default()
        .routes(routes!(create))
        .routes(routes!(show))
        .with_state(app)
}

/// What a caller sends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewNote {
    #[schema(min_length = 1)]
    text: String,
}

/// Keeps a note. Whoever may call at all may do it: by key, by a user's token,
/// by another service's.
#[utoipa::path(post, path = "/{{name}}/notes", request_body = NewNote,
    responses((status = 201, body = Note)),
    security(("key" = []), ("user" = []), ("service" = [])))]
async fn create(
    State(app): State<App>,
    _: Caller,
    Json(new): Json<NewNote>,
) -> Result<(StatusCode, Json<Note>), Problem> {
    let length = new.text.chars().count();
    if length == 0 || length > app.longest || new.text.contains('\0') {
        let wanted = format!("must be 1 to {} characters, none of them NUL", app.longest);
        return Err(Problem::invalid_field("text", wanted));
    }
    let note = note::keep(&app.database, &new.text).await?;
    Ok((StatusCode::CREATED, Json(note)))
}

/// Shows a note.
#[utoipa::path(get, path = "/{{name}}/notes/{id}", params(("id" = i64, Path)),
    responses((status = 200, body = Note)),
    security(("key" = []), ("user" = []), ("service" = [])))]
async fn show(
    State(app): State<App>,
    _: Caller,
    Path(id): Path<i64>,
) -> Result<Json<Note>, Problem> {
    let note = note::find(&app.database, id).await?;
    note.map(Json)
        .ok_or_else(|| Problem::not_found("There is no such note."))
}

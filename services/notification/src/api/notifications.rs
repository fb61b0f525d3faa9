//! Asking to tell somebody, and asking what came of it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kit::auth::Caller;
use kit::database::commit;
use kit::idempotency::{IdempotencyKey, KeyState, KeyedRequest, StoredResponse, begin};
use kit::outbox::EmitError;
use kit::{Json, Path, Problem, Query};
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::callers;
use super::state::App;
use crate::message::Request;
use crate::store::deliveries::{self, Replayed};
use crate::store::notifications::{self, StoreError};
use crate::templates::RenderError;

const PAGE: i64 = 50;

pub async fn create(
    State(app): State<App>,
    caller: Caller,
    key: Option<IdempotencyKey>,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    let service = callers::service(&caller)?;
    // As it was understood: spelling it another way is no other request.
    let understood = serde_json::to_vec(&request).map_err(|_| Problem::internal())?;
    let order = request.checked()?;
    let rendered = app.templates.render(&order.template, &order.data)?;
    let Some(key) = key else {
        let mut transaction = app.database.begin().await?;
        let place = notifications::place(
            &app.database,
            &mut transaction,
            &order,
            &rendered,
            app.limit,
        );
        let placed = place.await?;
        commit(transaction).await?;
        return Ok((StatusCode::ACCEPTED, Json(placed)).into_response());
    };
    let keyed = KeyedRequest::new(&service, "POST /notifications", key, &understood);
    let mut attempt = match begin(&app.database, keyed).await? {
        KeyState::Answered(answer) => return Ok(answer.into_response()),
        KeyState::Fresh(attempt) => attempt,
    };
    let connection = attempt.connection();
    let place = notifications::place(&app.database, connection, &order, &rendered, app.limit);
    let placed = place.await?;
    let answer =
        StoredResponse::json(StatusCode::ACCEPTED, &placed).map_err(|_| Problem::internal())?;
    Ok(attempt.finish(answer).await?.into_response())
}

impl From<RenderError> for Problem {
    fn from(error: RenderError) -> Self {
        let pointer = match error {
            RenderError::Unknown => "/template",
            _ => "/data",
        };
        Self::invalid_field(pointer, error.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Burst { channel, seconds } => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "burst-limit",
                format!("The user has had too many notifications on the channel {channel}. Nothing was stored."),
            )
            .retry_after(seconds),
            StoreError::Emit(EmitError::Database(error)) | StoreError::Database(error) => {
                error.into()
            }
            StoreError::Emit(error) => {
                tracing::error!(%error, "a notification cannot be queued");
                Self::internal()
            }
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    user_id: Option<String>,
    #[serde(default, with = "time::serde::rfc3339::option")]
    before: Option<OffsetDateTime>,
    limit: Option<u8>,
}

impl Page {
    fn limit(&self) -> i64 {
        self.limit.map_or(PAGE, i64::from)
    }
}

pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    let limit = page.limit();
    let user = callers::user(&caller, page.user_id, "user_id")?;
    let list = notifications::list(&app.database, &user, page.before, limit).await?;
    Ok(Json(json!({ "notifications": list })).into_response())
}

pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    let user = match &caller {
        Caller::User(user) => Some(user.subject.as_str()),
        Caller::Key(_) | Caller::Service(_) => None,
    };
    match notifications::one(&app.database, id, user).await? {
        Some(notification) => Ok(Json(notification).into_response()),
        None => Err(Problem::not_found("There is no such notification.")),
    }
}

pub async fn dead_letters(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    callers::service(&caller)?;
    let letters = deliveries::dead_letters(&app.database, page.before, page.limit()).await?;
    Ok(Json(json!({ "dead_letters": letters })).into_response())
}

pub async fn replay(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    callers::service(&caller)?;
    match deliveries::replay_one(&app.database, id).await? {
        Replayed::Queued => Ok(StatusCode::ACCEPTED.into_response()),
        Replayed::Unknown => Err(Problem::not_found("There is no such delivery.")),
        Replayed::NotDead => Err(Problem::new(
            StatusCode::CONFLICT,
            "not-dead",
            "The delivery is no dead letter, or one that is too old to be sent again.",
        )),
    }
}

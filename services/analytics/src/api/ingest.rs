//! Taking batches.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kit::auth::Caller;
use kit::database::commit;
use kit::idempotency::{IdempotencyKey, KeyState, KeyedRequest, StoredResponse, begin};
use kit::{Json, Problem};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::callers;
use super::state::App;
use crate::batch::{EventsBatch, MetricsBatch, ValidItems, Window};
use crate::store;

/// What became of a batch. It is stored: nothing loses it any more.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Receipt {
    /// Items that were new.
    accepted: u64,
    /// Items that were there already.
    repeated: u64,
}

/// Reports requests and resource use.
///
/// The batch is taken whole or, with any other answer, not at all. With an
/// Idempotency-Key the same batch again gets the same answer for 24 hours.
#[utoipa::path(post, path = "/analytics/metrics", request_body = MetricsBatch,
    params(("Idempotency-Key" = Option<String>, Header, description = "A new UUID per batch.")),
    responses((status = 202, body = Receipt)), security(("key" = []), ("service" = [])))]
pub async fn metrics(
    State(app): State<App>,
    caller: Caller,
    key: Option<IdempotencyKey>,
    Json(batch): Json<MetricsBatch>,
) -> Result<Response, Problem> {
    let keyed = keyed(&caller, "POST /analytics/metrics", key, &batch)?;
    let items = batch.checked(window(&app))?;
    take(&app, keyed, items).await
}

/// Reports events.
///
/// The batch is taken whole or, with any other answer, not at all. With an
/// Idempotency-Key the same batch again gets the same answer for 24 hours.
#[utoipa::path(post, path = "/analytics/events", request_body = EventsBatch,
    operation_id = "report_events",
    params(("Idempotency-Key" = Option<String>, Header, description = "A new UUID per batch.")),
    responses((status = 202, body = Receipt)), security(("key" = []), ("service" = [])))]
pub async fn events(
    State(app): State<App>,
    caller: Caller,
    key: Option<IdempotencyKey>,
    Json(batch): Json<EventsBatch>,
) -> Result<Response, Problem> {
    let keyed = keyed(&caller, "POST /analytics/events", key, &batch)?;
    let items = batch.checked(window(&app))?;
    take(&app, keyed, items).await
}

fn window(app: &App) -> Window {
    Window::of(OffsetDateTime::now_utc(), app.retention.rows)
}

/// By how it was understood: spelling it another way is no other batch.
fn keyed(
    caller: &Caller,
    operation: &str,
    key: Option<IdempotencyKey>,
    batch: &impl Serialize,
) -> Result<Option<KeyedRequest>, Problem> {
    let service = callers::service(caller)?;
    let Some(key) = key else { return Ok(None) };
    let understood = serde_json::to_vec(batch).map_err(|_| Problem::internal())?;
    Ok(Some(KeyedRequest::new(
        &service,
        operation,
        key,
        &understood,
    )))
}

async fn take(
    app: &App,
    keyed: Option<KeyedRequest>,
    items: ValidItems,
) -> Result<Response, Problem> {
    let Some(keyed) = keyed else {
        let mut transaction = app.database.begin().await?;
        let receipt = store(&mut transaction, &items).await?;
        commit(transaction).await?;
        app.stored_items.0.inc_by(receipt.accepted);
        return Ok((StatusCode::ACCEPTED, Json(receipt)).into_response());
    };
    let mut attempt = match begin(&app.database, keyed).await? {
        KeyState::Answered(answer) => return Ok(answer.into_response()),
        KeyState::Fresh(attempt) => attempt,
    };
    let receipt = store(attempt.connection(), &items).await?;
    let answer =
        StoredResponse::json(StatusCode::ACCEPTED, &receipt).map_err(|_| Problem::internal())?;
    let answer = attempt.finish(answer).await?;
    app.stored_items.0.inc_by(receipt.accepted);
    Ok(answer.into_response())
}

async fn store(connection: &mut PgConnection, items: &ValidItems) -> Result<Receipt, Problem> {
    let all = items.requests.len() + items.resources.len() + items.events.len();
    let accepted = store::ingest::store(connection, items).await?;
    Ok(Receipt {
        accepted,
        repeated: (all as u64).saturating_sub(accepted),
    })
}

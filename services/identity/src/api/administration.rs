//! What is done with other people's accounts: by an API key of the service
//! (`AUTH_SERVICE_API_KEY`), or by a user who is a superuser.

use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::response::IntoResponse;
use http::header;
use http::request::Parts;
use kit::database::commit;
use kit::ledger::{self, LedgerError};
use kit::{ApiKey, Json, Path, Problem, Query};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::bearer::Session;
use super::{RolesRequest, Shared, State};
use crate::audit::{self, Author, Event};
use crate::user;

/// Readers keep the keys for so long; a new one is published before it signs.
const KEYS_KEPT: &str = "public, max-age=300";

const PAGE: i64 = 100;

/// Who may.
pub(super) struct Administrator(Author);

impl FromRequestParts<Arc<Shared>> for Administrator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let key = <ApiKey as OptionalFromRequestParts<_>>::from_request_parts(parts, shared);
        if let Some(key) = key.await? {
            return Ok(Self(Author::Key(key.position)));
        }
        let Session { user, .. } = Session::from_request_parts(parts, shared).await?;
        if user.is_superuser {
            return Ok(Self(Author::User(user.id)));
        }
        Err(Problem::forbidden(
            "Only a superuser or the holder of a key may do this.",
        ))
    }
}

pub(super) async fn roles(
    shared: State,
    _: Administrator,
    Path(id): Path<i32>,
) -> Result<Json<Value>, Problem> {
    let mut connection = shared.connection().await?;
    let user = user::by_id(&mut connection, id).await?.ok_or_else(nobody)?;
    let roles = user::roles(&mut connection, &user).await?;
    Ok(Json(json!({ "roles": roles })))
}

/// They are in the tokens that are made from now on.
pub(super) async fn set_roles(
    shared: State,
    Administrator(by): Administrator,
    Path(id): Path<i32>,
    Json(request): Json<RolesRequest>,
) -> Result<Json<Value>, Problem> {
    let roles = request.checked()?;
    let mut transaction = shared.database.begin().await?;
    let user = user::by_id(&mut transaction, id)
        .await?
        .ok_or_else(nobody)?;
    user::set_roles(&mut transaction, id, &roles).await?;
    let all = user::roles(&mut transaction, &user).await?;
    audit::note(
        &mut transaction,
        Event::RolesSet {
            user: id,
            roles,
            by,
        },
    )
    .await?;
    commit(transaction).await?;
    Ok(Json(json!({ "roles": all })))
}

fn nobody() -> Problem {
    Problem::not_found("There is no user with this number.")
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    #[serde(default)]
    after: i64,
    limit: Option<i64>,
}

#[derive(Debug, Serialize)]
struct Entry {
    version: i64,
    kind: String,
    event: Box<RawValue>,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

pub(super) async fn audit(
    shared: State,
    _: Administrator,
    Query(page): Query<Page>,
) -> Result<impl IntoResponse, Problem> {
    let mut connection = shared.connection().await?;
    let limit = page.limit.unwrap_or(PAGE);
    let records = ledger::read(&mut connection, audit::STREAM, page.after, limit).await;
    let entries = records.map_err(audit::problem)?.into_iter().map(|record| {
        Ok(Entry {
            version: record.version,
            kind: record.kind,
            event: RawValue::from_string(record.payload).map_err(|_| Problem::internal())?,
            at: record.at,
        })
    });
    let entries: Vec<Entry> = entries.collect::<Result<_, Problem>>()?;
    Ok(Json(json!({ "events": entries })))
}

/// Recomputes the whole chain. Keep the digest elsewhere: what was cut off at
/// the end shows only against it.
pub(super) async fn verify_audit(shared: State, _: Administrator) -> Result<Json<Value>, Problem> {
    let mut connection = shared.connection().await?;
    match ledger::verify(&mut connection, audit::STREAM, None).await {
        Ok(head) => Ok(Json(json!({
            "whole": true,
            "version": head.version,
            "digest": head.digest.to_string(),
        }))),
        Err(error @ LedgerError::Tampered { .. }) => {
            tracing::error!(%error, "the audit log was tampered with");
            Ok(Json(json!({ "whole": false, "detail": error.to_string() })))
        }
        Err(error) => Err(audit::problem(error)),
    }
}

pub(super) async fn keys(shared: State) -> impl IntoResponse {
    let caching = [(header::CACHE_CONTROL, KEYS_KEPT)];
    (caching, Json(shared.tokens.published().clone()))
}

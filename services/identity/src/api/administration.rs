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
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::authentication::Session;
use super::requests::RolesRequest;
use super::state::{AppState, State};
use crate::audit::{self, Author, Event};
use crate::user;

/// Readers keep the keys for so long; a new one is published before it signs.
const KEYS_KEPT: &str = "public, max-age=300";

const PAGE: i64 = 100;

/// Who may.
pub(super) struct Administrator(Author);

impl FromRequestParts<Arc<AppState>> for Administrator {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        shared: &Arc<AppState>,
    ) -> Result<Self, Problem> {
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

/// The roles of a user.
#[utoipa::path(get, path = "/auth/users/{id}/roles", params(("id" = i32, Path)),
    security(("key" = []), ("user" = [])),
    responses((status = 200, description = "All of them.", body = Roles)))]
pub(super) async fn roles(
    shared: State,
    _: Administrator,
    Path(id): Path<i32>,
) -> Result<Json<Roles>, Problem> {
    let mut connection = shared.connection().await?;
    let user = user::by_id(&mut connection, id).await?.ok_or_else(nobody)?;
    let roles = user::roles(&mut connection, &user).await?;
    Ok(Json(Roles { roles }))
}

/// Makes these the roles of a user.
///
/// They are in the tokens that are made from now on.
#[utoipa::path(put, path = "/auth/users/{id}/roles", params(("id" = i32, Path)),
    request_body = RolesRequest, security(("key" = []), ("user" = [])),
    responses((status = 200, description = "All of them.", body = Roles)))]
pub(super) async fn set_roles(
    shared: State,
    Administrator(by): Administrator,
    Path(id): Path<i32>,
    Json(request): Json<RolesRequest>,
) -> Result<Json<Roles>, Problem> {
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
    Ok(Json(Roles { roles: all }))
}

fn nobody() -> Problem {
    Problem::not_found("There is no user with this number.")
}

/// All roles that somebody has.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Roles {
    roles: Vec<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// The number of the last event that is known.
    #[serde(default)]
    after: i64,
    /// How many; 100 when left out.
    limit: Option<i64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Entry {
    version: i64,
    kind: String,
    #[schema(value_type = Object)]
    event: Box<RawValue>,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Entries {
    events: Vec<Entry>,
}

/// Whether the log is whole, and its last digest; or what is wrong with it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Verified {
    Whole {
        whole: bool,
        version: i64,
        digest: String,
    },
    Broken {
        whole: bool,
        detail: String,
    },
}

/// What has happened to accounts, from a number on.
#[utoipa::path(get, path = "/auth/audit", params(Page), security(("key" = []), ("user" = [])),
    responses((status = 200, description = "Oldest first.", body = Entries)))]
pub(super) async fn audit(
    shared: State,
    _: Administrator,
    Query(page): Query<Page>,
) -> Result<Json<Entries>, Problem> {
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
    Ok(Json(Entries { events: entries }))
}

/// Recomputes the whole chain.
///
/// Keep the digest elsewhere: what was cut off at the end shows only against it.
#[utoipa::path(get, path = "/auth/audit/verify", security(("key" = []), ("user" = [])),
    responses((status = 200, description = "Whether it is whole.", body = Verified)))]
pub(super) async fn verify_audit(
    shared: State,
    _: Administrator,
) -> Result<Json<Verified>, Problem> {
    let mut connection = shared.connection().await?;
    match ledger::verify(&mut connection, audit::STREAM, None).await {
        Ok(head) => Ok(Json(Verified::Whole {
            whole: true,
            version: head.version,
            digest: head.digest.to_string(),
        })),
        Err(error @ LedgerError::Tampered { .. }) => {
            tracing::error!(%error, "the audit log was tampered with");
            Ok(Json(Verified::Broken {
                whole: false,
                detail: error.to_string(),
            }))
        }
        Err(error) => Err(audit::problem(error)),
    }
}

/// The public keys that tokens are verified by (RFC 7517); none where tokens are
/// by secret.
#[utoipa::path(get, path = "/.well-known/jwks.json",
    responses((status = 200, description = "A JSON Web Key Set.", body = Object)))]
pub(super) async fn keys(shared: State) -> impl IntoResponse {
    let caching = [(header::CACHE_CONTROL, KEYS_KEPT)];
    (caching, Json(shared.tokens.published().clone()))
}

//! Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a client that
//! does not know whether its request was carried out sends it again.
//!
//! The record is written in the transaction of the effect: both are there or
//! neither is, whatever crashes. Work under way holds an advisory lock of its
//! transaction, so a crash leaves nothing behind that would have to expire.
//! What the effect does beyond its transaction goes through the outbox.
//!
//! ```ignore
//! let attempt = match idempotency::begin(&database, &request).await? {
//!     KeyState::Answered(answer) => return Ok(answer.into_response()),
//!     KeyState::Fresh(attempt) => attempt,
//! };
//! insert(attempt.connection(), ...).await?;
//! Ok(attempt.finish(StoredResponse::json(StatusCode::CREATED, &created)?).await?.into_response())
//! ```

mod key;

use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use sqlx::{PgConnection, Postgres, Transaction};

use crate::Problem;
use crate::database::{Database, DatabaseError, commit};

pub use key::{IdempotencyKey, KeyError};

/// How long a record answers, unless the service says otherwise.
pub const DEFAULT_RETENTION: Duration = Duration::from_hours(24);
/// A stored answer is for a caller who lost the first one: a small document.
const MAX_BODY_BYTES: usize = 256 * 1024;
/// Says that an answer is a stored one.
const REPLAYED: &str = "idempotent-replayed";

/// A request that carried a key.
#[derive(Debug, Clone)]
pub struct KeyedRequest {
    scope: String,
    key: IdempotencyKey,
    fingerprint: [u8; 32],
    retention: Duration,
}

impl KeyedRequest {
    /// `caller` keeps callers' keys apart: one must not read another's
    /// answers. `operation` is method and path; `body` all that the effect
    /// depends on beside them.
    pub fn new(caller: &str, operation: &str, key: IdempotencyKey, body: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        // With its length, so that no two pairs run together to the same bytes.
        context.update(&(operation.len() as u64).to_be_bytes());
        context.update(operation.as_bytes());
        context.update(body);
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(context.finish().as_ref());
        Self {
            scope: caller.to_owned(),
            key,
            fingerprint,
            retention: DEFAULT_RETENTION,
        }
    }

    /// Keeps the answer for another time than [`DEFAULT_RETENTION`].
    #[must_use]
    pub fn retained(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }
}

/// An answer that can be given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResponse {
    status: StatusCode,
    content_type: String,
    body: Bytes,
    replayed: bool,
}

impl StoredResponse {
    /// A JSON document.
    pub fn json(status: StatusCode, document: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self {
            status,
            content_type: "application/json".to_owned(),
            body: serde_json::to_vec(document)?.into(),
            replayed: false,
        })
    }

    /// Whether it was given before.
    pub fn is_replayed(&self) -> bool {
        self.replayed
    }
}

impl IntoResponse for StoredResponse {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        if let Ok(content_type) = HeaderValue::try_from(self.content_type) {
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, content_type);
        }
        if self.replayed {
            response
                .headers_mut()
                .insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

/// What a key means at this moment.
#[derive(Debug)]
pub enum KeyState {
    /// Nothing yet: have the effect.
    Fresh(Attempt),
    /// It was done; this is what was answered.
    Answered(StoredResponse),
}

/// Why a keyed request is not carried out.
#[derive(Debug, thiserror::Error)]
pub enum IdempotencyError {
    /// Answer 409: the first one has not ended yet.
    #[error("a request with this Idempotency-Key is still under way; try again later")]
    UnderWay,
    /// Answer 422: the key names another request.
    #[error("this Idempotency-Key was used for another request; use a new one")]
    OtherRequest,
    /// The answer is too large to be kept: a defect of the service.
    #[error("an answer of {0} bytes cannot be kept for a repeat; the limit is {MAX_BODY_BYTES}")]
    TooLarge(usize),
    /// The database did not do it.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<IdempotencyError> for Problem {
    fn from(error: IdempotencyError) -> Self {
        let detail = format!("{error}.");
        match error {
            IdempotencyError::UnderWay => {
                Self::new(StatusCode::CONFLICT, "idempotency-key-under-way", detail).retry_after(1)
            }
            IdempotencyError::OtherRequest => {
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                Self::new(status, "idempotency-key-reused", detail)
            }
            IdempotencyError::TooLarge(_) => {
                tracing::error!(%error, "a request failed");
                Self::internal()
            }
            IdempotencyError::Database(error) => error.into(),
        }
    }
}

/// A transaction in which the effect of a keyed request is had. Dropping it
/// undoes the effect and frees the key.
#[derive(Debug)]
pub struct Attempt {
    transaction: Transaction<'static, Postgres>,
    request: KeyedRequest,
}

/// Both in one hash: a collision only makes one of two callers wait.
const TRY_LOCK: &str = "select pg_try_advisory_xact_lock( \
     hashtextextended('kit:key:' || length($1) || ':' || $1 || $2, 0))";

const FIND: &str = "select fingerprint, status, content_type, body from idempotency_records \
     where scope = $1 and key = $2 and expires_at > clock_timestamp()";

/// Over an expired one, which `FIND` no longer sees.
const STORE: &str = "insert into idempotency_records \
     (scope, key, fingerprint, status, content_type, body, expires_at) \
     values ($1, $2, $3, $4, $5, $6, clock_timestamp() + $7) \
     on conflict (scope, key) do update set fingerprint = excluded.fingerprint, \
     status = excluded.status, content_type = excluded.content_type, body = excluded.body, \
     created_at = clock_timestamp(), expires_at = excluded.expires_at";

/// Looks the key up and, if it is new, begins the transaction of its effect.
pub async fn begin(
    database: &Database,
    request: KeyedRequest,
) -> Result<KeyState, IdempotencyError> {
    let mut transaction = database.begin().await?;
    let locked: bool = sqlx::query_scalar(TRY_LOCK)
        .bind(&request.scope)
        .bind(request.key.as_str())
        .fetch_one(&mut *transaction)
        .await
        .map_err(DatabaseError::from)?;
    if !locked {
        return Err(IdempotencyError::UnderWay);
    }
    // A statement of its own: it sees what was committed before the lock was free.
    let found: Option<(Vec<u8>, i16, String, Vec<u8>)> = sqlx::query_as(FIND)
        .bind(&request.scope)
        .bind(request.key.as_str())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(DatabaseError::from)?;
    let Some((fingerprint, status, content_type, body)) = found else {
        return Ok(KeyState::Fresh(Attempt {
            transaction,
            request,
        }));
    };
    // Not left to the drop: the lock must be free before the caller is answered.
    transaction.rollback().await.map_err(DatabaseError::from)?;
    if fingerprint != request.fingerprint {
        return Err(IdempotencyError::OtherRequest);
    }
    let status = u16::try_from(status)
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok());
    Ok(KeyState::Answered(StoredResponse {
        status: status.unwrap_or(StatusCode::OK),
        content_type,
        body: body.into(),
        replayed: true,
    }))
}

impl Attempt {
    /// The connection of the transaction: have the effect here.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    /// Stores the answer with the effect and commits both.
    pub async fn finish(
        mut self,
        answer: StoredResponse,
    ) -> Result<StoredResponse, IdempotencyError> {
        if answer.body.len() > MAX_BODY_BYTES {
            return Err(IdempotencyError::TooLarge(answer.body.len()));
        }
        sqlx::query(STORE)
            .bind(&self.request.scope)
            .bind(self.request.key.as_str())
            .bind(self.request.fingerprint.as_slice())
            .bind(answer.status.as_u16().cast_signed())
            .bind(&answer.content_type)
            .bind(answer.body.as_ref())
            .bind(self.request.retention)
            .execute(&mut *self.transaction)
            .await
            .map_err(DatabaseError::from)?;
        commit(self.transaction).await?;
        Ok(answer)
    }
}

/// Deletes at most `limit` expired records; how many there were.
pub async fn sweep(database: &Database, limit: i64) -> Result<u64, DatabaseError> {
    let swept = sqlx::query(
        "delete from idempotency_records where ctid = any(array( \
         select ctid from idempotency_records where expires_at <= clock_timestamp() \
         order by expires_at limit $1 for update skip locked))",
    )
    .bind(limit)
    .execute(database.pool())
    .await?;
    Ok(swept.rows_affected())
}

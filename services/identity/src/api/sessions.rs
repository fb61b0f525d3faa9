//! Sessions that we and the other issuer both know: how one is found, carried
//! on and ended for both, and what the other issuer may ask us.
//!
//! Nothing is asked while a transaction is open here, and what the other one
//! asks is answered from our database: neither waits for itself.

use std::time::Instant;

use http::StatusCode;
use kit::database::commit;
use kit::{ApiKey, Json, Path, Problem};
use uuid::Uuid;

use super::bearer::{ended, refused};
use super::client_address::ClientAddress;
use super::requests::ClaimRequest;
use super::state::{AppState, State, TokenResponse};
use crate::audit::{self, Event};
use crate::digest::is_plausible;
use crate::legacy::{KnownSession, SessionReport};
use crate::session::{self, Claim, SessionState, TakeOver};
use crate::user::User;

/// Whose session it is, if it goes on, here or at the other issuer.
pub(super) async fn find(shared: &AppState, id: Uuid) -> Result<Option<User>, Problem> {
    let session_state = session::session_state(&mut *shared.connection().await?, id).await?;
    match session_state {
        SessionState::Active(user) => Ok(Some(user)),
        SessionState::Ended => Ok(None),
        SessionState::Unconfirmed => match shared.legacy.session(id).await? {
            SessionReport::Good(known) => taken_over(shared, &known).await,
            SessionReport::Ended | SessionReport::Replayed { .. } | SessionReport::Unknown => {
                Ok(None)
            }
        },
    }
}

async fn taken_over(shared: &AppState, known: &KnownSession) -> Result<Option<User>, Problem> {
    let mut transaction = shared.database.begin().await?;
    match session::take_over(&mut transaction, known).await? {
        TakeOver::Active { user, is_news } => {
            if is_news {
                let event = Event::SessionTakenOver {
                    user: user.id,
                    session: known.session,
                };
                audit::note(&mut transaction, event).await?;
            }
            commit(transaction).await?;
            Ok(Some(user))
        }
        TakeOver::Ended => Ok(None),
        TakeOver::Unconfirmed => Err(unconfirmed()),
    }
}

/// Uses a refresh token up, for the next pair.
pub(super) async fn refresh(
    shared: &AppState,
    address: ClientAddress,
    token: &str,
) -> Result<TokenResponse, Problem> {
    if !is_plausible(token) {
        return Err(unknown());
    }
    let begun = Instant::now();
    let mut connection = shared.connection().await?;
    let found = session::token(&mut connection, token).await?;
    if let Some(found) = &found
        && let SessionState::Ended = session::session_state(&mut connection, found.session).await?
    {
        return Err(ended());
    }
    drop(connection);
    // Whoever has claimed it may be about to answer for it.
    let is_contested = found
        .as_ref()
        .is_some_and(|found| found.claim == Claim::Fresh);
    let id = match found {
        Some(found) if found.claim == Claim::None => found.session,
        Some(found) => match shared.legacy.claim(token).await? {
            SessionReport::Replayed { .. } => {
                return replayed(shared, address, found.session).await;
            }
            SessionReport::Good(_) | SessionReport::Ended | SessionReport::Unknown => found.session,
        },
        None => match shared.legacy.claim(token).await? {
            SessionReport::Good(known) => {
                taken_over(shared, &known).await?.ok_or_else(ended)?;
                known.session
            }
            SessionReport::Replayed { session } => return replayed(shared, address, session).await,
            SessionReport::Ended => return Err(ended()),
            SessionReport::Unknown => return Err(unknown()),
        },
    };
    let Some(user) = find(shared, id).await? else {
        let mut transaction = shared.database.begin().await?;
        session::end(&mut transaction, id, "user").await?;
        commit(transaction).await?;
        return Err(ended());
    };
    if is_contested {
        return Err(unconfirmed());
    }
    let mut transaction = shared.database.begin().await?;
    if !session::use_up(&mut transaction, token, id).await? {
        drop(transaction);
        return replayed(shared, address, id).await;
    }
    let next = session::carry_on(&mut transaction, id, shared.policy.refresh_days).await?;
    let answer = shared.tokens(&mut transaction, &user, next).await?;
    if begun.elapsed() > session::ANSWERED_WITHIN {
        return Err(unconfirmed());
    }
    commit(transaction).await?;
    Ok(answer)
}

/// A token was copied, by its owner or by a thief: its session ends.
async fn replayed<T>(
    shared: &AppState,
    address: ClientAddress,
    session: Uuid,
) -> Result<T, Problem> {
    let session_state = session::session_state(&mut *shared.connection().await?, session).await?;
    end_there(shared, session).await?;
    let mut transaction = shared.database.begin().await?;
    session::end(&mut transaction, session, "replay").await?;
    if let SessionState::Active(user) = session_state {
        let event = Event::RefreshReplayed {
            user: user.id,
            session,
            address: address.0,
        };
        audit::note(&mut transaction, event).await?;
        let user = user.id;
        tracing::warn!(user, %session, "a refresh token came a second time; its session was ended");
    }
    commit(transaction).await?;
    Err(refused(
        "token-replayed",
        "The refresh token was used before. Its session has ended; log in again.",
    ))
}

/// Lets the other issuer end a session that it knows. First there: where that
/// fails nothing is done, and it can be tried again.
pub(super) async fn end_there(shared: &AppState, session: Uuid) -> Result<(), Problem> {
    let is_shared = session::is_shared(&mut *shared.connection().await?, session).await?;
    if is_shared {
        shared.legacy.end(session).await?;
    }
    Ok(())
}

fn unknown() -> Problem {
    refused("token-unknown", "The refresh token is none of ours.")
}

/// One of both is behind: "log in again" would be wrong.
pub(super) fn unconfirmed() -> Problem {
    Problem::unavailable("Not known for sure at the moment. Try again.")
}

/// Tells the other issuer of a session. It is told of its end, then.
#[utoipa::path(get, path = "/auth/sessions/{id}", params(("id" = Uuid, Path)),
    security(("key" = [])), responses((status = 200, description = "What is known.", body = SessionReport)))]
pub(super) async fn told(
    shared: State,
    _: ApiKey,
    Path(id): Path<Uuid>,
) -> Result<Json<SessionReport>, Problem> {
    let mut transaction = shared.database.begin().await?;
    let told = session::told(&mut transaction, id).await?;
    commit(transaction).await?;
    Ok(Json(told))
}

/// Uses a refresh token up for the other issuer.
///
/// As often as it asks: it becomes a replay once it was answered for.
#[utoipa::path(post, path = "/auth/sessions/claim", request_body = ClaimRequest,
    security(("key" = [])), responses((status = 200, description = "Its session.", body = SessionReport)))]
pub(super) async fn claim(
    shared: State,
    _: ApiKey,
    Json(request): Json<ClaimRequest>,
) -> Result<Json<SessionReport>, Problem> {
    if !is_plausible(&request.refresh_token) {
        return Ok(Json(SessionReport::Unknown));
    }
    let mut transaction = shared.database.begin().await?;
    let told = session::claim(&mut transaction, &request.refresh_token).await?;
    commit(transaction).await?;
    Ok(Json(told))
}

/// Ends a session that the other issuer has ended.
#[utoipa::path(delete, path = "/auth/sessions/{id}", params(("id" = Uuid, Path)),
    security(("key" = [])), responses((status = 204, description = "It is over.")))]
pub(super) async fn end(
    shared: State,
    _: ApiKey,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    let mut transaction = shared.database.begin().await?;
    session::end_elsewhere(&mut transaction, id, shared.policy.refresh_days).await?;
    commit(transaction).await?;
    Ok(StatusCode::NO_CONTENT)
}

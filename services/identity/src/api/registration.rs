//! Registration.

use http::StatusCode;
use kit::database::commit;
use kit::{Json, Problem};

use super::client_address::ClientAddress;
use super::requests::RegisterRequest;
use super::state::State;
use crate::audit::{self, Event};
use crate::link::{self, Purpose};
use crate::mail;
use crate::user::{self, Profile};

/// Registers somebody.
///
/// This one tells that somebody exists: a username must be the only one of its
/// kind, and a user must be able to log in by the address that they gave. It
/// does not tell which of both was taken, and is counted by address.
#[utoipa::path(post, path = "/auth/register", request_body = RegisterRequest,
    responses((status = 201, description = "The user.", body = Profile)))]
pub(super) async fn register(
    shared: State,
    address: ClientAddress,
    Json(request): Json<RegisterRequest>,
) -> Result<(StatusCode, Json<Profile>), Problem> {
    let (new, password) = request.checked()?;
    shared.count_request("register", address).await?;
    if !user::is_normal(&mut *shared.connection().await?, &new.username).await? {
        let detail = "must be in Unicode's normal form NFKC";
        return Err(Problem::invalid_field("/username", detail));
    }
    let encoded = shared.hasher.permit().await?.encode(&password).await?;
    let mut transaction = shared.database.begin().await?;
    let inserted = user::insert(&mut transaction, &new, &encoded).await?;
    let user = inserted.ok_or_else(taken)?;
    let purpose = Purpose::EmailVerification;
    let lifetime = shared.policy.link_lifetime;
    let token = link::issue(&mut transaction, purpose, Some(&user), lifetime).await?;
    mail::emit(
        &shared.database,
        &mut transaction,
        purpose,
        Some(&user),
        token,
        lifetime,
    )
    .await?;
    let event = Event::Registered {
        user: user.id,
        address: address.0,
    };
    let profile = user::profile(&mut transaction, user).await?;
    audit::note(&mut transaction, event).await?;
    commit(transaction).await?;
    Ok((StatusCode::CREATED, Json(profile)))
}

fn taken() -> Problem {
    let detail = "The username or the e-mail address is somebody's already.";
    Problem::new(StatusCode::CONFLICT, "account-exists", detail)
}

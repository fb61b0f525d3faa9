//! What users do with their own account.

use http::StatusCode;
use kit::database::commit;
use kit::{Json, Problem};

use super::accepted::{Accepted, accepted};
use super::authentication::{Holder, Session};
use super::client_address::ClientAddress;
use super::login::account_counter;
use super::requests::{
    ChangeRequest, EmailRequest, ResetRequest, TokenRequest, check_new_password,
};
use super::state::{AppState, State};
use crate::audit::{self, Event};
use crate::link::{self, Purpose};
use crate::password::Encoded;
use crate::user::{self, Login, Profile, User};
use crate::{mail, session};

/// Who the token is for.
#[utoipa::path(get, path = "/auth/me", security(("user" = [])),
    responses((status = 200, description = "The user.", body = Profile)))]
pub(super) async fn me(shared: State, Holder(user): Holder) -> Result<Json<Profile>, Problem> {
    let mut connection = shared.connection().await?;
    Ok(Json(user::profile(&mut connection, user).await?))
}

/// Sets another password; ends the user's other sessions.
#[utoipa::path(post, path = "/auth/password/change", request_body = ChangeRequest,
    security(("user" = [])), responses((status = 204, description = "It is set.")))]
pub(super) async fn change_password(
    shared: State,
    address: ClientAddress,
    session: Session,
    Json(request): Json<ChangeRequest>,
) -> Result<StatusCode, Problem> {
    let user = &session.user;
    check_new_password(&request.new_password, &names(user))?;
    // Who has found an open session is not to find the password out by it.
    let login = Login::Username(user.username.clone());
    let counters = [account_counter(&shared, &shared.counted_as(&login).await?)];
    shared.look(&counters, address).await?;
    let permit = shared.hasher.permit().await?;
    shared.count(&counters, address).await?;
    if !permit
        .verify(Some(&user.password), None, &request.current_password)
        .await
    {
        shared
            .note(Event::LoginFailed {
                user: Some(user.id),
                address: address.0,
            })
            .await?;
        return Err(Problem::invalid_field(
            "/current_password",
            "is not the password",
        ));
    }
    shared.throttle.forget(&counters).await?;
    let encoded = shared
        .hasher
        .permit()
        .await?
        .encode(&request.new_password)
        .await?;
    let mut transaction = shared.database.begin().await?;
    if !user::set_password(&mut transaction, user, &encoded).await? {
        return Err(changed_meanwhile());
    }
    // In this order: a login with the old password may commit its session
    // between the two statements. The second one sees it, and is to end it, not
    // to carry it over; one that comes later still has the old password.
    session::carry_over(&mut transaction, user, &encoded).await?;
    session::end_others(&mut transaction, user.id, Some(session.id), "password").await?;
    let event = Event::PasswordChanged {
        user: user.id,
        address: address.0,
    };
    audit::note(&mut transaction, event).await?;
    commit(transaction).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a link for another password.
///
/// 202 for whomever: the work is the same, only the letter is missing.
#[utoipa::path(post, path = "/auth/password/reset", request_body = EmailRequest,
    responses((status = 202, description = "Whoever it is.", body = Accepted)))]
pub(super) async fn ask_for_reset(
    shared: State,
    address: ClientAddress,
    Json(request): Json<EmailRequest>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let login = request.checked()?;
    let name = shared.counted_as(&login).await?;
    shared.count_link(&name, address).await?;
    let mut connection = shared.connection().await?;
    let user = user::find(&mut connection, &login).await?;
    drop(connection);
    // As in Django: who has no password here gets none by e-mail.
    let user = user.filter(|user| user.is_active && has_password(user));
    send_link(&shared, Purpose::PasswordReset, user.as_ref(), |user| {
        Event::PasswordResetRequested {
            user,
            address: address.0,
        }
    })
    .await?;
    Ok(accepted(
        "If somebody has this address, a link is on its way.",
    ))
}

/// Sets another password by a link; ends all sessions.
#[utoipa::path(post, path = "/auth/password/reset/confirm", request_body = ResetRequest,
    responses((status = 204, description = "It is set.")))]
pub(super) async fn reset_password(
    shared: State,
    address: ClientAddress,
    Json(request): Json<ResetRequest>,
) -> Result<StatusCode, Problem> {
    let mut connection = shared.connection().await?;
    let user = link::look(&mut connection, Purpose::PasswordReset, &request.token).await?;
    drop(connection);
    check_new_password(&request.new_password, &names(&user))?;
    let encoded = shared
        .hasher
        .permit()
        .await?
        .encode(&request.new_password)
        .await?;
    let mut transaction = shared.database.begin().await?;
    let user = link::redeem(&mut transaction, Purpose::PasswordReset, &request.token).await?;
    if !user::set_password(&mut transaction, &user, &encoded).await? {
        return Err(changed_meanwhile());
    }
    // None is carried over: one that commits meanwhile has the old password.
    session::end_others(&mut transaction, user.id, None, "password").await?;
    let event = Event::PasswordReset {
        user: user.id,
        address: address.0,
    };
    audit::note(&mut transaction, event).await?;
    commit(transaction).await?;
    let logins = [Login::Email(user.email), Login::Username(user.username)];
    for login in logins {
        let counter = account_counter(&shared, &shared.counted_as(&login).await?);
        shared.throttle.forget(&[counter]).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a link that proves the address.
#[utoipa::path(post, path = "/auth/email/verify/request", security(("user" = [])),
    responses((status = 202, description = "It is on its way.", body = Accepted)))]
pub(super) async fn ask_for_verification(
    shared: State,
    address: ClientAddress,
    session: Session,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let user = &session.user;
    shared
        .count_link(&format!("user {}", user.id), address)
        .await?;
    if user.email.is_empty() {
        return Err(Problem::invalid_field("", "the user has no e-mail address"));
    }
    send_link(&shared, Purpose::EmailVerification, Some(user), |_| {
        Event::EmailVerificationRequested { user: user.id }
    })
    .await?;
    Ok(accepted("A link is on its way."))
}

/// Proves the address by a link.
#[utoipa::path(post, path = "/auth/email/verify", request_body = TokenRequest,
    responses((status = 204, description = "It is proved.")))]
pub(super) async fn verify_email(
    shared: State,
    Json(request): Json<TokenRequest>,
) -> Result<StatusCode, Problem> {
    let mut transaction = shared.database.begin().await?;
    let purpose = Purpose::EmailVerification;
    let user = link::redeem(&mut transaction, purpose, &request.token).await?;
    user::verify_email(&mut transaction, &user).await?;
    audit::note(&mut transaction, Event::EmailVerified { user: user.id }).await?;
    commit(transaction).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn send_link(
    shared: &AppState,
    purpose: Purpose,
    user: Option<&User>,
    event: impl FnOnce(Option<i32>) -> Event,
) -> Result<(), Problem> {
    let mut transaction = shared.database.begin().await?;
    let lifetime = shared.policy.link_lifetime;
    let token = link::issue(&mut transaction, purpose, user, lifetime).await?;
    mail::emit(
        &shared.database,
        &mut transaction,
        purpose,
        user,
        token,
        lifetime,
    )
    .await?;
    audit::note(&mut transaction, event(user.map(|user| user.id))).await?;
    Ok(commit(transaction).await?)
}

fn has_password(user: &User) -> bool {
    !matches!(
        Encoded::parse(&user.password),
        Ok(Encoded::Unusable) | Err(_)
    )
}

fn names(user: &User) -> [&str; 4] {
    [
        &user.username,
        &user.email,
        &user.first_name,
        &user.last_name,
    ]
}

fn changed_meanwhile() -> Problem {
    let detail = "The password was set by somebody else meanwhile; nothing was done.";
    Problem::new(StatusCode::CONFLICT, "changed-meanwhile", detail)
}

//! Login, refresh, logout.
//!
//! Whether a user exists shows neither in what a login answers nor in how long
//! it takes: for nobody somebody's password is tried, and the same is written.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use kit::database::commit;
use kit::{Json, Problem};

use super::authentication::{Session, legacy_holder};
use super::bearer::Bearer;
use super::client_address::ClientAddress;
use super::requests::LoginRequest;
use super::sessions;
use super::state::{AppState, State, TokenResponse};
use crate::audit::{self, Event};
use crate::digest::kept;
use crate::password::{Encoded, Password};
use crate::session;
use crate::throttle::Counter;
use crate::user::{self, Login, User};

/// Begins a session.
#[utoipa::path(post, path = "/auth/login", request_body = LoginRequest,
    responses((status = 200, description = "What carries it.", body = TokenResponse)))]
pub(super) async fn login(
    shared: State,
    address: ClientAddress,
    Json(request): Json<LoginRequest>,
) -> Result<Json<TokenResponse>, Problem> {
    let (login, password) = request.checked()?;
    let user = authenticate(&shared, &login, &password, address).await?;
    let user = user.ok_or_else(wrong)?;
    let user = rehashed(&shared, user, &password).await?;
    let mut transaction = shared.database.begin().await?;
    let begun = session::begin(&mut transaction, &user, shared.policy.refresh_days).await?;
    let session = begun.session;
    let answer = shared.tokens(&mut transaction, &user, begun).await?;
    let event = Event::LoggedIn {
        user: user.id,
        session,
        address: address.0,
    };
    audit::note(&mut transaction, event).await?;
    commit(transaction).await?;
    Ok(Json(answer))
}

/// Who it is, if the password is theirs and they may log in.
async fn authenticate(
    shared: &AppState,
    login: &Login,
    password: &Password,
    address: ClientAddress,
) -> Result<Option<User>, Problem> {
    let name = shared.counted_as(login).await?;
    let account = account_counter(shared, &name);
    let of_address = address
        .0
        .map(|address| Counter::of_address("login", address, shared.policy.address_failures));
    let counters: Vec<_> = [Some(account.clone()), of_address.clone()]
        .into_iter()
        .flatten()
        .collect();
    // Before waiting for a turn: who is locked out takes nobody's place.
    shared.look(&counters, address).await?;
    let permit = shared.hasher.permit().await?;
    shared.count(&counters, address).await?;
    let mut connection = shared.connection().await?;
    let user = user::find(&mut connection, login).await?;
    let decoy = user::decoy(&mut connection, decoy_number(shared, &name)).await?;
    drop(connection);
    let real = user.as_ref().map(|user| &*user.password);
    let is_right = permit.verify(real, decoy.as_deref(), password).await;
    match user {
        Some(user) if is_right && user.is_active => {
            shared.throttle.forget(&[account]).await?;
            shared.throttle.take_back(of_address.as_slice()).await?;
            Ok(Some(user))
        }
        user => {
            let user = user.map(|user| user.id);
            shared
                .note(Event::LoginFailed {
                    user,
                    address: address.0,
                })
                .await?;
            Ok(None)
        }
    }
}

/// What wrong passwords for an account are counted under; `name` is what
/// [`user::counted_as`] says.
pub(super) fn account_counter(shared: &AppState, name: &str) -> Counter {
    Counter::new("account", name, shared.policy.account_failures)
}

/// The same for the same login, as one user has one password.
fn decoy_number(shared: &AppState, name: &str) -> u32 {
    let seeded = format!("{} {name}", shared.policy.decoy_seed);
    kept(&seeded)
        .first_chunk()
        .map_or(0, |first| u32::from_be_bytes(*first))
}

/// Writes the password in our form, where the setting says that nobody follows
/// this table any more: Django ties its sessions to the encoded password, so
/// one that came back changed would log its owner out there.
async fn rehashed(shared: &AppState, user: User, password: &Password) -> Result<User, Problem> {
    let current = shared.hasher.iterations();
    let is_current = Encoded::parse(&user.password).is_ok_and(|one| one.is_current(current));
    if !shared.policy.rehash || is_current {
        return Ok(user);
    }
    let encoded = shared.hasher.permit().await?.encode(password).await?;
    let mut transaction = shared.database.begin().await?;
    if !user::set_password(&mut transaction, &user, &encoded).await? {
        // Somebody has set another one meanwhile.
        return Err(wrong());
    }
    session::carry_over(&mut transaction, &user, &encoded).await?;
    audit::note(&mut transaction, Event::PasswordRehashed { user: user.id }).await?;
    commit(transaction).await?;
    Ok(User {
        password: encoded,
        ..user
    })
}

/// One answer, whatever was wrong.
fn wrong() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "credentials-invalid",
        "Invalid credentials",
    )
    .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

/// Carries a session on, by its refresh token, which is good once.
#[utoipa::path(post, path = "/auth/refresh", security(("user" = [])),
    responses((status = 200, description = "A new pair.", body = TokenResponse)))]
pub(super) async fn refresh(
    shared: State,
    address: ClientAddress,
    headers: HeaderMap,
) -> Result<Json<TokenResponse>, Problem> {
    if let Some(user) = legacy_holder(&headers, &shared).await? {
        return exchange(&shared, address, &user).await;
    }
    let Bearer(token) = Bearer::of(&headers)?;
    sessions::refresh(&shared, address, &token).await.map(Json)
}

/// A session in place of a token of the other issuer's old kind.
async fn exchange(
    shared: &AppState,
    address: ClientAddress,
    user: &User,
) -> Result<Json<TokenResponse>, Problem> {
    let mut transaction = shared.database.begin().await?;
    let begun = session::begin(&mut transaction, user, shared.policy.refresh_days).await?;
    let session = begun.session;
    let answer = shared.tokens(&mut transaction, user, begun).await?;
    let event = Event::LegacyTokenExchanged {
        user: user.id,
        session,
        address: address.0,
    };
    audit::note(&mut transaction, event).await?;
    commit(transaction).await?;
    Ok(Json(answer))
}

/// Ends the session.
#[utoipa::path(post, path = "/auth/logout", security(("user" = [])),
    responses((status = 204, description = "It has ended.")))]
pub(super) async fn logout(shared: State, session: Session) -> Result<StatusCode, Problem> {
    sessions::end_there(&shared, session.id).await?;
    let mut transaction = shared.database.begin().await?;
    if session::end(&mut transaction, session.id, "logout").await? {
        let event = Event::LoggedOut {
            user: session.user.id,
            session: session.id,
        };
        audit::note(&mut transaction, event).await?;
    }
    commit(transaction).await?;
    Ok(StatusCode::NO_CONTENT)
}

//! What the service answers.

mod accepted;
mod account;
mod administration;
mod authentication;
mod bearer;
mod client_address;
mod login;
mod registration;
mod requests;
mod sessions;
mod state;

use std::sync::Arc;

use kit::openapi::{OpenApiRouter, routes};

pub(crate) use state::{AppState, Policy};

pub(crate) fn router(state: AppState) -> OpenApiRouter {
    OpenApiRouter::default()
        .routes(routes!(registration::register))
        .routes(routes!(login::login))
        .routes(routes!(login::refresh))
        .routes(routes!(login::logout))
        .routes(routes!(account::me))
        .routes(routes!(account::change_password))
        .routes(routes!(account::ask_for_reset))
        .routes(routes!(account::reset_password))
        .routes(routes!(account::ask_for_verification))
        .routes(routes!(account::verify_email))
        .routes(routes!(administration::set_roles, administration::roles))
        .routes(routes!(sessions::claim))
        .routes(routes!(sessions::told, sessions::end))
        .routes(routes!(administration::audit))
        .routes(routes!(administration::verify_audit))
        .routes(routes!(administration::keys))
        .with_state(Arc::new(state))
}

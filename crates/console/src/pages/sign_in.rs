//! Signing in by key, and out.

use super::{
    form::Form,
    frame::{HOME, Page, PageError, rendered},
    reader::{self, SignedIn, cookie},
};
use crate::{
    secret,
    state::{Console, Person},
};
use askama::Template;
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};

/// The cookie of the form itself: nobody is signed in by another site's form.
const FORM_COOKIE: &str = "banyan_console_form";
const FORM_SECONDS: u32 = 60 * 60;

/// Longer keys are none.
const KEY_BYTES_MAX: usize = 4096;

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/sign-in", get(form).post(sign_in))
        .route("/console/sign-out", post(sign_out))
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn<'a> {
    csrf: &'a str,
    error: Option<&'a str>,
    name: &'a str,
}

async fn form(headers: HeaderMap) -> Result<Response, PageError> {
    page(&headers, None, "")
}

fn page(headers: &HeaderMap, error: Option<&str>, name: &str) -> Result<Response, PageError> {
    let csrf = match cookie(headers, FORM_COOKIE).filter(|csrf| !csrf.is_empty()) {
        Some(csrf) => csrf.to_owned(),
        None => secret::new().ok_or_else(no_randomness)?,
    };
    let main = SignIn {
        csrf: &csrf,
        error,
        name,
    };
    let page = Page {
        title: "Sign in",
        section: "",
        reader: None,
        live: None,
        main: rendered(&main),
        below: String::new(),
    };
    let mut response = page.answer();
    if error.is_some() {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
    }
    let kept = reader::kept(FORM_COOKIE, &csrf, FORM_SECONDS);
    Ok(([(header::SET_COOKIE, kept)], response).into_response())
}

async fn sign_in(
    State(console): State<Console>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, PageError> {
    form.carries(cookie(&headers, FORM_COOKIE).unwrap_or_default())?;
    let name = form.text("name");
    let shown = name.as_deref().unwrap_or_default();
    let key = form.get("key").filter(|key| key.len() <= KEY_BYTES_MAX);
    let Some(key) = key.filter(|key| key.bytes().all(|byte| byte.is_ascii_graphic())) else {
        return page(&headers, Some("Type your key."), shown);
    };
    match Person::of(&console.api, key, name.as_deref()).await {
        Ok(None) => {
            let text = "This key proves nobody's name: type yours. It is kept with what you order.";
            page(&headers, Some(text), shown)
        }
        Ok(Some(_)) => {
            let session = console.sessions.begin(key.into(), name.clone());
            let session = session.ok_or_else(no_randomness)?;
            let cookie = [(header::SET_COOKIE, reader::begin(&session))];
            Ok((cookie, Redirect::to(HOME)).into_response())
        }
        Err(error) if error.is_unknown_bearer() => {
            let text = "This key is not known here. Ask whoever keeps the plan for yours, or run \
                        `banyan console` where `banyan serve` runs.";
            page(&headers, Some(text), shown)
        }
        Err(error) => Err(error.into()),
    }
}

async fn sign_out(
    State(console): State<Console>,
    reader: SignedIn,
    form: Form,
) -> Result<Response, PageError> {
    form.of_session(&reader.session)?;
    console.sessions.end(&reader.session);
    let cookie = [(header::SET_COOKIE, reader::end())];
    Ok((cookie, Redirect::to("/console/sign-in")).into_response())
}

fn no_randomness() -> PageError {
    let text = "the operating system gives no random bytes, and nobody can be signed in";
    PageError::Of(StatusCode::SERVICE_UNAVAILABLE, text.to_owned())
}

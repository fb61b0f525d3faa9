//! A way in for whoever may read the state directory: `banyan console` asks for a path
//! that signs in once, so that somebody can look without a key of their own.

use super::{
    frame::{HOME, PageError, refusal},
    reader,
};
use crate::{
    api::ApiError,
    state::{Console, Person},
};
use askama::Template;
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use conductor::api::{ErrorKind, ErrorReply};
use serde::{Deserialize, Serialize};

/// What `banyan console` sends.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Invitation {
    /// In whose name things are ordered, where the key proves none.
    #[serde(default)]
    by: Option<String>,
}

/// What it gets.
#[derive(Debug, Serialize)]
struct Invited {
    /// Below the address where the API listens; good once, for ten minutes.
    path: String,
}

/// The call, beside the API's others.
pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/v1/console/sign-ins", post(invite))
}

/// The page that it leads to.
pub(super) fn page() -> Router<Console> {
    Router::new().route("/console/enter/{code}", get(enter))
}

async fn invite(
    State(console): State<Console>,
    headers: HeaderMap,
    Json(invitation): Json<Invitation>,
) -> Response {
    let given = headers.get(header::AUTHORIZATION);
    let given = given.and_then(|value| value.to_str().ok());
    let bearer = given.and_then(|value| value.strip_prefix("Bearer "));
    let bearer = bearer.unwrap_or_default();
    // Whose it is says the API.
    let known = Person::of(&console.api, bearer, invitation.by.as_deref()).await;
    match known {
        Err(ApiError { code, reply }) => return (code, Json(reply)).into_response(),
        Ok(None) => {
            let error = "nobody's name came with it, and what is ordered in the console is kept with \
                         one: `banyan console --by NAME`, or set BANYAN_USER";
            let reply = ErrorReply {
                error: error.to_owned(),
                kind: ErrorKind::Refused,
                findings: Vec::new(),
            };
            return (StatusCode::BAD_REQUEST, Json(reply)).into_response();
        }
        Ok(Some(_)) => {}
    }
    match console.sessions.invite(bearer.into(), invitation.by) {
        Some(code) => Json(Invited {
            path: format!("{HOME}/enter/{code}"),
        })
        .into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

#[derive(Template)]
#[template(path = "entered.html")]
struct Entered;

async fn enter(
    State(console): State<Console>,
    method: Method,
    Path(code): Path<String>,
) -> Result<Response, PageError> {
    if method != Method::GET {
        // Whoever only looks whether it is there does not use it up.
        return Ok(StatusCode::OK.into_response());
    }
    let Some(session) = console.sessions.accept(&code) else {
        let text = "This way in was used already, or is too old: each is good once, for ten \
                    minutes. Run `banyan console` again.";
        let code = StatusCode::GONE;
        return Ok(refusal(
            code,
            "Not signed in",
            text,
            &[],
            "/console/sign-in",
        ));
    };
    let cookie = [(header::SET_COOKIE, reader::begin(&session))];
    // A page and not a redirect: a browser that came by a link from another site would
    // not send the cookie to where that leads.
    let page = Entered.render().unwrap_or_default();
    Ok((cookie, Html(page)).into_response())
}

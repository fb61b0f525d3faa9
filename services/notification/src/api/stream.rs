//! Opens a WebSocket (RFC 6455) on which a user's messages come.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kit::auth::Caller;
use kit::{Problem, Query};
use serde::Deserialize;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::handshake::server::create_response;

use super::callers;
use super::state::App;
use crate::push::{Full, Session, serve};
use crate::store::push;

/// Browsers cannot set headers here, but they can name subprotocols: this one,
/// and the token as a second one.
const PROTOCOL: &str = "bearer";

/// Nobody stays longer without showing who they are.
const MAX_DURATION: Duration = Duration::from_hours(24);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begin {
    user_id: Option<String>,
    last_id: Option<i64>,
}

pub async fn open(State(app): State<App>, mut request: Request) -> Result<Response, Problem> {
    let upgrade = hyper::upgrade::on(&mut request);
    let (mut parts, _) = request.into_parts();
    let has_protocol = take_protocol(&mut parts);
    let caller = <Caller as FromRequestParts<App>>::from_request_parts(&mut parts, &app).await?;
    let query = Query::<Begin>::from_request_parts(&mut parts, &app).await?;
    let Query(begin) = query;
    let user = callers::user(&caller, begin.user_id, "user_id")?;
    let mut response = handshake(&parts)?;
    if has_protocol {
        let protocol = HeaderValue::from_static(PROTOCOL);
        response
            .headers_mut()
            .insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    let wake = app.hub.join(&user)?;
    // Before the client hears that it is in: what is told it from then on, it gets.
    let last = push::last(&app.database, &user).await?;
    let session = Session {
        user,
        // One that was never given is a mistake, or of another database.
        at: begin.last_id.map_or(last, |given| given.clamp(0, last)),
        expires: Instant::now() + remaining(&caller),
    };
    tokio::spawn(serve(upgrade, session, wake, app.database, app.stopping));
    Ok(response)
}

impl From<Full> for Problem {
    fn from(full: Full) -> Self {
        match full {
            Full::Process => Self::unavailable("There are too many sockets; come again."),
            Full::User => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-sockets",
                "The user has too many sockets open.",
            ),
        }
    }
}

/// Moves a token from the subprotocols to where tokens are looked for.
fn take_protocol(parts: &mut Parts) -> bool {
    let offered = parts.headers.get(header::SEC_WEBSOCKET_PROTOCOL);
    let token = offered
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.split_once(','))
        .filter(|(first, _)| first.trim() == PROTOCOL)
        .map(|(_, token)| format!("Bearer {}", token.trim()));
    let Some(value) = token.and_then(|token| HeaderValue::try_from(token).ok()) else {
        return false;
    };
    // Beside a header that is there already it is one too many, and refused.
    parts.headers.append(header::AUTHORIZATION, value);
    true
}

fn handshake(parts: &Parts) -> Result<Response, Problem> {
    let mut request = axum::http::Request::new(());
    request.method_mut().clone_from(&parts.method);
    *request.version_mut() = parts.version;
    request.headers_mut().clone_from(&parts.headers);
    match create_response(&request) {
        Ok(response) => Ok(response.map(|()| Body::empty()).into_response()),
        Err(error) => {
            let detail = format!("Open a WebSocket here (RFC 6455): {error}.");
            Err(
                Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade-required", detail)
                    .with_header(header::UPGRADE, HeaderValue::from_static("websocket")),
            )
        }
    }
}

/// A user's token says until when it is good.
fn remaining(caller: &Caller) -> Duration {
    let Caller::User(user) = caller else {
        return MAX_DURATION;
    };
    let expires = user.claims.get("exp").and_then(serde_json::Value::as_f64);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let left = expires.unwrap_or_default() - now.as_secs_f64();
    Duration::try_from_secs_f64(left)
        .unwrap_or_default()
        .min(MAX_DURATION)
}

//! The middleware around every request.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::{StatusCode, header};
use http_body_util::Limited;
use tokio::time::timeout;
use tracing::{Instrument, debug, error, info_span, warn};

use super::state::ServerState;
use crate::auth::AuthContext;
use crate::context::{CORRELATION_ID, Context};
use crate::metrics::OTHER;
use crate::problem::{self, Problem, RETRY_SECONDS};
use crate::spans::Span;

/// Ties log lines, traces and metrics together, and makes every failure a
/// problem.
pub(super) async fn observed(
    State(state): State<Arc<ServerState>>,
    mut request: Request,
    next: Next,
) -> Response {
    let (begun, begun_at) = (Instant::now(), SystemTime::now());
    let in_flight = state.metrics.begun();
    let context = Context::read(request.headers());
    let spanned = state.spans.as_ref().map(|spans| (spans, context.clone()));
    let correlation = context.correlation.clone();
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or(OTHER, MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let auth_context = AuthContext {
        authenticator: Arc::clone(&state.authenticator),
        method: method.clone(),
        uri: request.uri().clone(),
    };
    request.extensions_mut().insert(auth_context);
    // The route and not the path, which can hold personal data.
    let span = info_span!("request", %method, route, correlation_id = %correlation);
    let answering = async {
        let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
        let answer = answer.unwrap_or_else(|_| {
            // The panic's own words are on stderr already.
            error!("a handler panicked");
            Problem::internal().into_response()
        });
        let mut answer = problem::explained(answer);
        let headers = answer.headers_mut();
        headers.insert(CORRELATION_ID, correlation.header());
        let time = begun.elapsed();
        state
            .metrics
            .answered(&method, &route, answer.status(), time);
        if let Some(reports) = &state.reports {
            reports.answered(&method, &route, answer.status(), time);
        }
        if let Some((spans, context)) = spanned {
            spans.add(Span {
                context,
                begun: begun_at,
                method,
                route: route.clone(),
                status: answer.status(),
            });
        }
        debug!(status = answer.status().as_u16(), ?time, "answered");
        answer
    };
    let answer = context.scope(answering.instrument(span)).await;
    drop(in_flight);
    answer
}

/// Holds a request within the service's limits.
pub(super) async fn limited(
    State(state): State<Arc<ServerState>>,
    request: Request,
    next: Next,
) -> Response {
    let limits = &state.limits;
    let Ok(_permit) = state.permits.try_acquire() else {
        return Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "Too many requests are under way; nothing was done.",
        )
        .retry_after(RETRY_SECONDS)
        .into_response();
    };
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let most = u64::try_from(limits.body_bytes).unwrap_or(u64::MAX);
    if length.is_some_and(|length| length > most) {
        return Problem::of_status(StatusCode::PAYLOAD_TOO_LARGE).into_response();
    }
    let request = request.map(|body| Body::new(Limited::new(body, limits.body_bytes)));
    if let Ok(answer) = timeout(limits.request_timeout, next.run(request)).await {
        return answer;
    }
    warn!(limit = ?limits.request_timeout, "a request took too long");
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "timed-out",
        "It took too long, and may or may not have been done.",
    )
    .into_response()
}

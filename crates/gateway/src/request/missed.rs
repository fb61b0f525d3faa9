//! A try that got no answer: what is said of it, and to whom.

use super::resend::Attempt;
use crate::{
    base::{headers::CORRELATION_ID, refusal::Refusal},
    upstream::{
        http1::{Came, NoAnswer, error::ConnectionError},
        upstreams::Upstream,
    },
};
use http::{HeaderValue, Request};
use plan::UpstreamUrl;
use std::time::Duration;

/// A try that got no answer.
pub(super) struct Missed {
    pub(super) refusal: Refusal,
    pub(super) attempt: Attempt,
    pub(super) was_sent: bool,
}

/// A request without an answer, as a line of the log names it: who was asked, for what.
#[derive(Clone, Copy)]
pub(super) struct LostRequest<'a> {
    pub(super) url: &'a UpstreamUrl,
    pub(super) id: Option<&'a str>,
    pub(super) path: &'a str,
}

/// As much as is shown of a path.
const PATH_BYTES_MAX: usize = 200;

impl<'a> LostRequest<'a> {
    pub(super) fn of<B>(upstream: &'a Upstream, chosen: usize, request: &'a Request<B>) -> Self {
        let path = request.uri().path();
        Self {
            url: &upstream.instances[chosen].url,
            id: request.headers().get(CORRELATION_ID).map(text),
            path: &path[..path.floor_char_boundary(PATH_BYTES_MAX)],
        }
    }
}

/// A correlation id as text.
pub(super) fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}

/// A kept connection was closed before a byte of the answer came: most often
/// because the upstream ends idle ones earlier than the gateway does.
pub(super) fn lost_kept(lost: LostRequest<'_>, error: &ConnectionError, idle: Duration) -> Missed {
    let LostRequest { url, id, path } = lost;
    tracing::warn!(
        upstream = %url,
        correlation_id = id,
        path,
        %error,
        idle_ms = idle.as_millis(),
        "request lost at the upstream on a kept connection; if this is its keep-alive time, \
         gateway.upstream-idle must be shorter"
    );
    Missed {
        refusal: Refusal::LostKept,
        attempt: Attempt::Broken,
        was_sent: true,
    }
}

/// There is no answer, or none that makes sense: says so to the log.
pub(super) fn lost(lost: LostRequest<'_>, none: &NoAnswer) -> Missed {
    let LostRequest { url, id, path } = lost;
    let error = &none.error;
    let refusal = match error {
        ConnectionError::Request(fault) => {
            tracing::info!(
                upstream = %url, correlation_id = id, path, %fault, "request's body lost on its way"
            );
            fault.refusal()
        }
        ConnectionError::Broken(_) | ConnectionError::Closed => {
            let refusal = match none.came {
                Came::Nothing => Refusal::Lost,
                Came::Begun => Refusal::LostMidway,
                Came::Tls => Refusal::SpeaksTls,
                Came::Other => Refusal::NotHttp,
            };
            tracing::warn!(
                upstream = %url,
                correlation_id = id,
                path,
                %error,
                why = %refusal,
                "request lost at the upstream"
            );
            refusal
        }
        _ => {
            tracing::warn!(upstream = %url, correlation_id = id, path, %error, "answer refused");
            Refusal::BadAnswer
        }
    };
    let attempt = match error {
        ConnectionError::Request(_) => Attempt::ClientFault,
        _ => Attempt::Broken,
    };
    Missed {
        refusal,
        attempt,
        was_sent: true,
    }
}

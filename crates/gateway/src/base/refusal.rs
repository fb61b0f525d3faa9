//! Answers of the gateway's own: problem details of RFC 9457.

use super::{
    bad_operation::BadOperation, denial::Denial, malformed::Malformed, removal::Removal,
    target::BadTarget,
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use std::time::Duration;

/// Why a request gets an answer of the gateway's own.
///
/// Of all with status 503 the request was sent nowhere. Of those with 400, 408
/// and 413 at most a part of it was, and of those for its operations nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    BadTarget(#[from] BadTarget),
    #[error("{0}")]
    Access(Denial),
    #[error("{0}")]
    Operation(#[from] BadOperation),
    #[error("{0}")]
    Malformed(#[from] Malformed),
    #[error("{0}")]
    BadHead(&'static str),
    #[error("no route matches this request")]
    NoRoute,
    #[error("the request's body came too slowly, or ended early")]
    BodyLost,
    #[error("the request's body is malformed{}", .0.map(|why| format!(": {why}")).unwrap_or_default())]
    BadBody(Option<Malformed>),
    #[error("the request's body is too large")]
    BodyTooLarge,
    #[error("too many request bodies are being read")]
    BuffersFull,
    #[error("the request's body cannot be kept at the moment")]
    SpoolFailed,
    #[error(
        "this way leads to an old system, which goes for good on {0}; for a short time it is refused, to \
         find who still uses it"
    )]
    BrownOut(Removal),
    #[error("the gateway has lost its conductor")]
    NoLease,
    #[error("who owns this data is not known at the moment")]
    OwnerUnknown,
    #[error("too many requests wait for a hand-over")]
    HoldFull,
    #[error("the request is too large to wait for a hand-over")]
    HoldTooLarge,
    #[error("a hand-over took too long")]
    HoldTooOld,
    #[error("your last change has not reached the other side yet")]
    PinWait,
    #[error("the gateway is stopping")]
    Stopping,
    #[error("the upstream cannot be reached")]
    Unreachable,
    #[error("the upstream closed the connection without an answer")]
    Lost,
    #[error(
        "the upstream closed a kept connection without an answer; its keep-alive time may be shorter \
         than `gateway.upstream-idle`"
    )]
    LostKept,
    #[error("the upstream closed the connection in the middle of its answer's head")]
    LostMidway,
    #[error("the upstream's answer cannot be passed on")]
    BadAnswer,
    #[error("the upstream's answer is not HTTP/1.0 or 1.1")]
    NotHttp,
    #[error("the upstream speaks TLS where it is spoken to without")]
    SpeaksTls,
    #[error("the upstream did not answer in time")]
    Slow,
    #[error("the upstream has failed too often and is left alone for a while")]
    BreakerOpen {
        /// When to try again, in seconds.
        after: u16,
    },
}

/// When to try again, where that helps, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

impl Refusal {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::BadTarget(_) | Self::BadHead(_) | Self::BadBody(_) => StatusCode::BAD_REQUEST,
            Self::Malformed(malformed) => malformed.status(),
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BrownOut(_) => StatusCode::GONE,
            Self::Access(denial) => denial.status(),
            Self::Operation(bad) => bad.status(),
            Self::BodyLost => StatusCode::REQUEST_TIMEOUT,
            Self::SpoolFailed => StatusCode::INSUFFICIENT_STORAGE,
            Self::BuffersFull
            | Self::NoLease
            | Self::OwnerUnknown
            | Self::HoldFull
            | Self::HoldTooLarge
            | Self::HoldTooOld
            | Self::PinWait
            | Self::Stopping
            | Self::BreakerOpen { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unreachable
            | Self::Lost
            | Self::LostKept
            | Self::LostMidway
            | Self::BadAnswer
            | Self::NotHttp
            | Self::SpeaksTls => StatusCode::BAD_GATEWAY,
            Self::Slow => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// Its value of the metrics' label `reason`.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::BadTarget(_) => "bad-target",
            Self::Malformed(malformed) => malformed.reason(),
            Self::BadHead(_) => "bad-head",
            Self::NoRoute => "no-route",
            Self::Access(denial) => denial.reason(),
            Self::Operation(bad) => bad.reason(),
            Self::BodyLost => "body-lost",
            Self::BadBody(_) => "bad-body",
            Self::BodyTooLarge => "body-too-large",
            Self::BuffersFull => "buffers-full",
            Self::SpoolFailed => "spool-failed",
            Self::BrownOut(_) => "brown-out",
            Self::NoLease => "no-lease",
            Self::OwnerUnknown => "owner-unknown",
            Self::HoldFull => "hold-full",
            Self::HoldTooLarge => "hold-too-large",
            Self::HoldTooOld => "hold-too-old",
            Self::PinWait => "pin-wait",
            Self::Stopping => "stopping",
            Self::Unreachable => "unreachable",
            Self::Lost | Self::LostKept | Self::LostMidway => "lost",
            Self::BadAnswer | Self::NotHttp | Self::SpeaksTls => "bad-answer",
            Self::Slow => "slow",
            Self::BreakerOpen { .. } => "breaker-open",
        }
    }

    /// An upstream is left alone for so long.
    pub(crate) fn breaker_open(after: Duration) -> Self {
        let seconds = after.as_secs_f64().ceil().max(1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at least 1, and `as` ends at the type's bounds"
        )]
        let after = seconds as u16;
        Self::BreakerOpen { after }
    }

    /// Whether the side itself failed, rather than the gateway refused.
    pub(crate) fn is_the_upstreams(self) -> bool {
        matches!(
            self,
            Self::Unreachable
                | Self::Lost
                | Self::LostKept
                | Self::LostMidway
                | Self::BadAnswer
                | Self::NotHttp
                | Self::SpeaksTls
                | Self::Slow
                | Self::BreakerOpen { .. }
        )
    }

    pub(crate) fn response(self) -> Response<Bytes> {
        let status = self.status();
        let problem = serde_json::json!({
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": self.to_string(),
            "reason": self.reason(),
        });
        let mut response = Response::new(Bytes::from(problem.to_string()));
        *response.status_mut() = status;
        // For the access log and the spans.
        response.extensions_mut().insert(self);
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let after = match self {
                Self::BreakerOpen { after } => after.into(),
                _ => RETRY_AFTER,
            };
            headers.insert(header::RETRY_AFTER, after);
        }
        if let Self::BrownOut(removal) = self {
            let told = [
                ("deprecation", removal.deprecation()),
                ("sunset", removal.sunset()),
            ];
            for (name, value) in told {
                headers.extend(value.map(|value| (HeaderName::from_static(name), value)));
            }
        }
        // What is left of such a body is not read.
        let leaves_body = matches!(
            self,
            Self::Malformed(_)
                | Self::BodyLost
                | Self::BadBody(_)
                | Self::BodyTooLarge
                | Self::BuffersFull
                | Self::SpoolFailed
        );
        if leaves_body || self == Self::Stopping {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

//! Requests whose body is read before they are sent, so that they can be sent
//! again; whether they may is for [`super::resend`] to say.
//!
//! Sending leaves a request's head where it is, and a body that is whole, too. So
//! what may be sent again needs no copy, only the leave.

use super::resend::Sends;
use crate::{
    base::{as_written::AsWritten, headers::client_address, refusal::Refusal},
    body::{
        BODY_BYTES_MAX, Collected, Conversing, Inbound, Incoming, Intake, RequestBody, Reserved,
        Whole, collect,
    },
    state::worker::Worker,
    upstream::upstreams::Upstream,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, request::Parts};
use http_body::Body as _;

/// What a client says to make a write repeatable
/// (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A request like another one, where its body is whole.
pub(crate) fn copy(request: &Request<RequestBody>) -> Option<Request<Whole>> {
    let body = request.body().whole()?;
    Some(head(request).map(|()| body))
}

/// A request's head once more.
pub(crate) fn head<B>(request: &Request<B>) -> Request<()> {
    let mut copy = Request::new(());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    if let Some(written) = request.extensions().get::<AsWritten>() {
        copy.extensions_mut().insert(written.clone());
    }
    copy
}

/// Whether a client says, and the plan believes, that the upstream executes a
/// write once, however often it comes.
pub(crate) fn is_idempotent(upstream: &Upstream, headers: &HeaderMap) -> bool {
    upstream.retries.idempotency_keys && headers.contains_key(IDEMPOTENCY_KEY)
}

/// A request that is ready to be sent, more than once where it may be and its body
/// is small enough.
pub(crate) struct Repeatable {
    pub(crate) request: Request<RequestBody>,
    pub(crate) sends: Sends,
    /// The place that its body takes up.
    _reserved: Option<Reserved>,
}

impl Repeatable {
    /// Reads the body, within `gateway.replay-bytes`. A larger one is passed on as
    /// it comes, once; so is one that does not say how long it is, unless `buffers`
    /// wants all of it first. Takes the head from where it is.
    pub(crate) async fn of(
        worker: &Worker,
        parts: &mut Parts,
        body: Inbound,
        may_repeat: bool,
        buffers: impl FnOnce(&HeaderMap) -> bool,
        intake: Intake<'_>,
    ) -> Result<Self, Refusal> {
        let body = match body {
            Inbound::Unread(body) => body,
            Inbound::Collected(whole, reserved) => {
                return Ok(Self {
                    sends: Sends::of(may_repeat, true),
                    request: request(parts, RequestBody::Whole(whole)),
                    _reserved: Some(reserved),
                });
            }
        };
        if body.is_end_stream() {
            return Ok(Self {
                request: request(parts, RequestBody::none()),
                sends: Sends::of(may_repeat, true),
                _reserved: None,
            });
        }
        // It may be a conversation: what comes first waits for an answer.
        let has_length = body.size_hint().exact().is_some();
        let is_read = if has_length {
            may_repeat
        } else {
            buffers(&parts.headers)
        };
        if !is_read {
            return Ok(Self::once(parts, body, intake));
        }
        // Boxed: nearly all have no body, and would keep the room for it.
        Box::pin(Self::collected(worker, parts, body, may_repeat, intake)).await
    }

    /// A request whose body is passed on as it comes, and so sent once.
    fn once(parts: &mut Parts, body: Incoming, intake: Intake<'_>) -> Self {
        let body = RequestBody::stream(Bytes::new(), body, &intake.client);
        let body = if Conversing::is_in(parts) {
            body.patiently()
        } else {
            body
        };
        Self {
            request: request(parts, body),
            sends: Sends::Once,
            _reserved: None,
        }
    }

    async fn collected(
        worker: &Worker,
        parts: &mut Parts,
        body: Incoming,
        may_repeat: bool,
        intake: Intake<'_>,
    ) -> Result<Self, Refusal> {
        let has_length = body.size_hint().exact().is_some();
        let most = if has_length {
            let most = worker.config.settings.replay_bytes.0;
            usize::try_from(most).unwrap_or(usize::MAX)
        } else {
            BODY_BYTES_MAX
        };
        let (body, reserved) = match collect(body, most, intake).await? {
            Collected::Whole(whole, reserved) => (RequestBody::Whole(whole), reserved),
            Collected::Large(begun) | Collected::Crowded(begun) if has_length => {
                begun.stream(&intake.client)
            }
            Collected::Large(begun) | Collected::Crowded(begun) => {
                let client = client_address(&parts.headers);
                begun.spool(intake, client).await?
            }
        };
        Ok(Self {
            sends: Sends::of(may_repeat, body.is_whole()),
            request: request(parts, body),
            _reserved: Some(reserved),
        })
    }
}

/// A request of a head, which is taken from where it is.
pub(crate) fn request<B>(parts: &mut Parts, body: B) -> Request<B> {
    let (none, ()) = Request::new(()).into_parts();
    Request::from_parts(std::mem::replace(parts, none), body)
}

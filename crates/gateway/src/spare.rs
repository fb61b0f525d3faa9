//! A request to send once more: its head, and its body where that is here.
//!
//! Nearly every read makes one and next to none uses it. So the head is a copy of
//! the bytes in one piece, which is a fraction of the work of a copied header
//! map, and is read only when it is needed.

use crate::{
    answer::Refusal,
    body::{Collected, Conversing, Inbound, RequestBody, Reserved, Whole, collect},
    upstream::Upstream,
    worker::Worker,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, request::Parts};
use http_body::Body as _;

/// Room for most heads; a vector that grows makes it again.
const USUAL_BYTES: usize = 1 << 10;

/// What a client says to make a write repeatable
/// (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A request to send once more.
pub(crate) struct Spare {
    method: Method,
    uri: Uri,
    /// Per header the lengths of name and value, name, value.
    headers: Vec<u8>,
    body: Whole,
}

impl Spare {
    pub(crate) fn of(parts: &Parts, body: Whole) -> Self {
        let mut copy = Vec::with_capacity(USUAL_BYTES);
        for (name, value) in &parts.headers {
            let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
            // A head is at most some KiB long.
            let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            copy.extend_from_slice(&length(name).to_le_bytes());
            copy.extend_from_slice(&length(value).to_le_bytes());
            copy.extend_from_slice(name);
            copy.extend_from_slice(value);
        }
        Self {
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            headers: copy,
            body,
        }
    }

    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    pub(crate) fn request(&self) -> Request<RequestBody> {
        let mut request = Request::new(RequestBody::Whole(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        let mut rest = &self.headers[..];
        while let Some((name, value)) = header(&mut rest) {
            // They come out of a header map.
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
            {
                request.headers_mut().append(name, value);
            }
        }
        request
    }
}

/// Whether a client says, and the plan believes, that the upstream executes a
/// write once, however often it comes.
pub(crate) fn is_idempotent(upstream: &Upstream, headers: &HeaderMap) -> bool {
    upstream.retries.idempotency_keys && headers.contains_key(IDEMPOTENCY_KEY)
}

/// A request that may be sent more than once, where its body is small enough.
pub(crate) struct Repeatable {
    pub(crate) request: Request<RequestBody>,
    pub(crate) spare: Option<Spare>,
    /// The place that its body takes up.
    _reserved: Option<Reserved>,
}

impl Repeatable {
    /// A request whose body is passed on as it comes, and so sent once. Takes
    /// the head from where it is.
    pub(crate) fn once(worker: &Worker, parts: &mut Parts, body: Inbound) -> Self {
        let (body, reserved) = match body {
            Inbound::Here(whole, reserved) => (RequestBody::Whole(whole), Some(reserved)),
            Inbound::Coming(body) => {
                let client = &worker.setup.settings.client;
                let body = RequestBody::stream(Bytes::new(), body, client);
                let patient = Conversing::is_in(parts);
                (if patient { body.patiently() } else { body }, None)
            }
        };
        Self {
            request: request(parts, body),
            spare: None,
            _reserved: reserved,
        }
    }

    /// Reads the body, within `gateway.replay-bytes`. A larger one, and one that
    /// does not say how long it is, is passed on as it comes, once. Takes the
    /// head from where it is.
    pub(crate) async fn of(
        worker: &Worker,
        parts: &mut Parts,
        body: Inbound,
    ) -> Result<Self, Refusal> {
        let body = match body {
            Inbound::Coming(body) => body,
            Inbound::Here(whole, reserved) => {
                return Ok(Self {
                    spare: Some(Spare::of(parts, whole.clone())),
                    request: request(parts, RequestBody::Whole(whole)),
                    _reserved: Some(reserved),
                });
            }
        };
        if body.is_end_stream() {
            let spare = Some(Spare::of(parts, Whole::default()));
            return Ok(Self {
                request: request(parts, RequestBody::none()),
                spare,
                _reserved: None,
            });
        }
        // Boxed: nearly all reads have no body, and would keep the room for it.
        Box::pin(Self::collected(worker, parts, body)).await
    }

    async fn collected(
        worker: &Worker,
        parts: &mut Parts,
        body: hyper::body::Incoming,
    ) -> Result<Self, Refusal> {
        if body.size_hint().exact().is_none() {
            // It may be a conversation: what comes first waits for an answer.
            return Ok(Self::once(worker, parts, Inbound::Coming(body)));
        }
        let client = &worker.setup.settings.client;
        let most = worker.setup.settings.replay_bytes.0;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let collected = collect(body, most, client, &worker.buffers).await?;
        let (body, whole, reserved) = match collected {
            Collected::Whole(whole, reserved) => {
                (RequestBody::Whole(whole.clone()), Some(whole), reserved)
            }
            Collected::Large(begun, rest, reserved) => {
                (RequestBody::stream(begun, rest, client), None, reserved)
            }
        };
        Ok(Self {
            spare: whole.map(|whole| Spare::of(parts, whole)),
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

/// Takes the first header from a copy.
fn header<'a>(copy: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (name, value) = (length(copy)?, length(copy)?);
    let (name, rest) = copy.split_at_checked(name)?;
    let (value, rest) = rest.split_at_checked(value)?;
    *copy = rest;
    Some((name, value))
}

fn length(copy: &mut &[u8]) -> Option<usize> {
    let (length, rest) = copy.split_first_chunk()?;
    *copy = rest;
    usize::try_from(u32::from_le_bytes(*length)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spare_is_the_head_that_it_was_made_of() {
        let parts = Request::builder()
            .method("HEAD")
            .uri("/a?b=c")
            .header("host", "x")
            .header("cookie", "a=1")
            .header("X-Own", "")
            .header("cookie", HeaderValue::from_bytes(b"b=\xff").unwrap())
            .body(())
            .unwrap()
            .into_parts()
            .0;
        let again = Spare::of(&parts, Whole::default()).request();
        assert_eq!(again.method(), parts.method);
        assert_eq!(*again.uri(), parts.uri);
        assert_eq!(*again.headers(), parts.headers);
        assert_eq!(again.headers().get_all("cookie").iter().count(), 2);
    }
}

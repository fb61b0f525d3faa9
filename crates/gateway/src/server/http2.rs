//! Clients that speak HTTP/2, over TLS or with prior knowledge.
//!
//! Framing, flow control and the rules for headers are h2's, within the bounds
//! below: it resets streams with connection-specific headers, `te` other than
//! `trailers`, missing or double pseudo-headers and bodies that differ from
//! their `content-length`, and ends connections that flood it with
//! CONTINUATION, SETTINGS, PING or resets that it has not looked at. What is
//! here is the translation into the one form that the rest of the gateway knows
//! ([`translate`]), and two ends that h2 does not know: of idle connections, and
//! of those whose client begins requests in order to cancel them.

use crate::{
    base::{
        authority::are_same, executor::Local, header_class::imitates, headers::CORRELATION_ID,
        malformed::Malformed, peer::Peer, refusal::Refusal,
    },
    body::{Conversing, Incoming, Keeping},
    observe::labels::method_label,
    request::{client_body::ClientBody, record, serve::serve},
    state::{
        connections::Connections,
        worker::{Current, Worker},
    },
    transport::{socket::Wire, stall::Unstalled},
    upstream::response_body::ResponseBody,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, Uri, header, request::Parts};
use hyper::{server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    cell::Cell, convert::Infallible, future::poll_fn, pin::pin, rc::Rc, sync::Arc, task::Poll,
    time::Duration,
};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Requests at once on one connection: what browsers and gRPC clients expect.
const STREAMS_MAX: u32 = 128;

/// What a client may send of one body, and of all bodies of a connection,
/// before somebody reads it: the memory that slow upstreams cost.
const STREAM_WINDOW_BYTES: u32 = 128 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;

/// What is kept of one answer for a client that reads slowly.
const SEND_BUFFER_BYTES: usize = 64 << 10;

/// The largest frame that clients may send: the least that is allowed.
const FRAME_BYTES: u32 = 16 << 10;

/// What h2 takes of a head beyond `client.head-bytes`, in multiples of that. What is above
/// that bound is refused here, by a document that says so; what is above h2's own, by h2,
/// with a status and nothing else.
const HEAD_TIMES: usize = 2;

/// Resets that are remembered until the streams have been looked at, and those
/// that h2 itself sent for errors of the client. More end the connection
/// (CVE-2023-44487, CVE-2025-8671).
const PENDING_RESETS_MAX: usize = 32;
const ERROR_RESETS_MAX: usize = 128;

/// A client that has cancelled so many requests, and most of its requests,
/// must connect anew: each of them cost an upstream something.
const CANCELLED_MAX: u64 = 200;

/// How often a silent connection is asked whether it is still there, and how
/// long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// How often idleness and abuse are looked at.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// How long a client may take to close, after GOAWAY and the last stream.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Speaks HTTP/2 with a client.
pub(crate) async fn converse(
    connections: &Connections,
    current: Rc<Current>,
    peer: Rc<Peer>,
    wire: Wire,
) {
    // A connection keeps the bounds that it began with.
    let config = Arc::clone(&current.get().config);
    let client = config.settings.client;
    let io = Unstalled::new(TokioIo::new(wire), client.write);
    drop(config);
    let tally = Rc::new(Tally::new());
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let (worker, peer) = (current.get(), Rc::clone(&peer));
        let running = Running::new(&tally);
        async move {
            let (mut parts, body) = request.into_parts();
            let body = Incoming::Http2(body);
            Conversing::mark(&mut parts, &body);
            let response = match translate(&mut parts, client.head_bytes, client.headers) {
                Ok(()) => serve(&worker, &peer, None, &mut parts, body).await,
                Err(refusal) => refuse(&worker, &peer, &parts, refusal),
            };
            running.is_answered.set(true);
            Ok::<_, Infallible>(response.map(|body| Keeping::new(body, running)))
        }
    });
    let connection = http2::Builder::new(Local)
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_header_list_size(u32::try_from(client.head_bytes * HEAD_TIMES).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(ERROR_RESETS_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let mut checks = interval(CHECK_INTERVAL);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ending: Option<Instant> = None;
    let end = poll_fn(|cx| {
        if ending.is_none() && (connections.are_closing() || tally.is_abused()) {
            ending = Some(Instant::now());
            connection.as_mut().graceful_shutdown();
        }
        if let Poll::Ready(end) = connection.as_mut().poll(cx) {
            return Poll::Ready(end);
        }
        while checks.poll_tick(cx).is_ready() {
            match ending {
                None if tally.is_idle(client.idle) => {
                    ending = Some(Instant::now());
                    connection.as_mut().graceful_shutdown();
                    cx.waker().wake_by_ref();
                }
                Some(since) if tally.running.get() == 0 && since.elapsed() >= CLOSE_TIMEOUT => {
                    return Poll::Ready(Ok(()));
                }
                _ => {}
            }
        }
        Poll::Pending
    });
    if let Err(error) = end.await {
        tracing::debug!(%error, "client connection ended");
    }
}

/// Answers what is no request for the rest of the gateway.
fn refuse(worker: &Worker, peer: &Peer, parts: &Parts, refusal: Refusal) -> Response<ClientBody> {
    let metrics = &worker.state.metrics;
    match refusal {
        Refusal::Malformed(why) => metrics.malformed(why),
        other => metrics.refused(other),
    }
    metrics.unread(method_label(&parts.method), refusal.status());
    let correlation = worker.correlation_id();
    record::unread(worker, peer, &correlation, refusal);
    let own = |body| ClientBody::alone(ResponseBody::own(body));
    let mut response = refusal.response().map(own);
    response.headers_mut().insert(CORRELATION_ID, correlation);
    response
}

/// Makes the head of a request over HTTP/2 one over HTTP/1: the authority
/// becomes `Host`, the target a path, crumbs of cookies one `Cookie`
/// (RFC 9113, 8.2.3 and 8.3.1).
fn translate(parts: &mut Parts, bytes_max: usize, headers_max: usize) -> Result<(), Refusal> {
    if head_bytes(parts) > bytes_max {
        return Err(Malformed::HeadTooLarge.into());
    }
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let (host, another) = (hosts.next(), hosts.next());
    if another.is_some() {
        return Err(Refusal::BadHead("there is more than one Host"));
    }
    // Without an authority there is no scheme: h2 has checked that it was sent.
    if !matches!(parts.uri.scheme_str(), None | Some("http" | "https")) {
        return Err(Refusal::BadHead("the scheme is not one of HTTP"));
    }
    let scheme = parts.uri.scheme_str().unwrap_or("http");
    if let Some(authority) = parts.uri.authority() {
        let authority = authority.as_str();
        match host {
            Some(host) if are_same(host.as_bytes(), authority.as_bytes(), scheme) => {}
            Some(_) => return Err(Refusal::BadHead("the authority and the Host differ")),
            None => {
                let host = HeaderValue::from_str(authority)
                    .map_err(|_| Refusal::BadHead("the authority cannot be read"))?;
                parts.headers.insert(header::HOST, host);
            }
        }
    }
    let mut names = parts.headers.keys().map(|name| name.as_str().as_bytes());
    if names.any(imitates) {
        return Err(Refusal::BadHead("a header's name looks like one of ours"));
    }
    let path = parts.uri.path_and_query().cloned();
    let path = path.ok_or(Refusal::BadHead("there is no path"))?;
    // What is matched would be `/`, what is sent `?x`.
    if path.as_str().starts_with('?') {
        return Err(Refusal::BadHead("the path does not start with /"));
    }
    parts.uri = Uri::from(path);
    join_cookies(&mut parts.headers);
    // As over HTTP/1, where browsers do not split their cookies.
    if parts.headers.len() > headers_max {
        return Err(Malformed::TooManyHeaders.into());
    }
    Ok(())
}

/// How large a head is, about as it would be over HTTP/1.
fn head_bytes(parts: &Parts) -> usize {
    let uri = &parts.uri;
    let authority = uri
        .authority()
        .map_or(0, |authority| authority.as_str().len());
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let fields = parts.headers.iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    authority + path + fields.sum::<usize>()
}

fn join_cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(header::COOKIE).iter();
    if crumbs.next().is_none() || crumbs.next().is_none() {
        return;
    }
    let mut whole = Vec::new();
    for crumb in headers.get_all(header::COOKIE) {
        if !whole.is_empty() {
            whole.extend_from_slice(b"; ");
        }
        whole.extend_from_slice(crumb.as_bytes());
    }
    // Parts of valid values with a valid separator are valid.
    if let Ok(whole) = HeaderValue::from_maybe_shared(Bytes::from(whole)) {
        headers.insert(header::COOKIE, whole);
    }
}

/// What the requests of a connection did.
struct Tally {
    begun: Cell<u64>,
    cancelled: Cell<u64>,
    running: Cell<u64>,
    last: Cell<Instant>,
}

impl Tally {
    fn new() -> Self {
        Self {
            begun: Cell::new(0),
            cancelled: Cell::new(0),
            running: Cell::new(0),
            last: Cell::new(Instant::now()),
        }
    }

    fn is_abused(&self) -> bool {
        let cancelled = self.cancelled.get();
        cancelled > CANCELLED_MAX && cancelled * 2 > self.begun.get()
    }

    fn is_idle(&self, longest: Duration) -> bool {
        self.running.get() == 0 && self.last.get().elapsed() >= longest
    }
}

/// A request that is being answered, until the end of its answer.
struct Running {
    tally: Rc<Tally>,
    is_answered: Cell<bool>,
}

impl Running {
    fn new(tally: &Rc<Tally>) -> Self {
        tally.begun.set(tally.begun.get() + 1);
        tally.running.set(tally.running.get() + 1);
        Self {
            tally: Rc::clone(tally),
            is_answered: Cell::new(false),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let tally = &self.tally;
        tally.running.set(tally.running.get() - 1);
        tally.last.set(Instant::now());
        if !self.is_answered.get() {
            tally.cancelled.set(tally.cancelled.get() + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(uri: &str, headers: &[(&str, &str)]) -> Result<Parts, Refusal> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut parts = request.body(()).unwrap().into_parts().0;
        translate(&mut parts, 1000, 100).map(|()| parts)
    }

    #[test]
    fn the_authority_becomes_the_host() {
        let parts = translated("https://a.org:8/x?y", &[]).unwrap();
        assert_eq!(parts.headers[header::HOST], "a.org:8");
        assert_eq!(parts.uri, "/x?y");
        assert!(translated("http://a/x", &[("host", "A"), ("x_y", "1")]).is_ok());
        assert!(translated("https://a:443/x", &[("host", "a")]).is_ok());
        for bad in [
            translated("http://a/x", &[("host", "b")]),
            translated("http://a/x", &[("host", "a"), ("host", "a")]),
            translated("ftp://a/x", &[]),
            translated("a:1", &[]),
            translated("http://a/x", &[("x_forwarded_for", "127.0.0.1")]),
            translated("http://a/x", &[("x_consumer_id", "7")]),
        ] {
            assert!(matches!(bad, Err(Refusal::BadHead(_))), "{bad:?}");
        }
        let large = translated("http://a/x", &[("x", &"y".repeat(1000))]);
        let wanted = Refusal::Malformed(Malformed::HeadTooLarge);
        assert_eq!(large.unwrap_err(), wanted);
    }

    #[test]
    fn crumbs_make_one_cookie() {
        let parts = translated("http://a/", &[("cookie", "a=1"), ("cookie", "b=2; c=3")]).unwrap();
        let cookies: Vec<_> = parts.headers.get_all(header::COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1; b=2; c=3"]);
    }

    #[test]
    fn a_client_that_mostly_cancels_is_abusive() {
        let tally = Rc::new(Tally::new());
        for _ in 0..=CANCELLED_MAX {
            assert!(!tally.is_abused());
            drop(Running::new(&tally));
        }
        assert!(tally.is_abused());
        for _ in 0..=CANCELLED_MAX {
            Running::new(&tally).is_answered.set(true);
        }
        assert!(!tally.is_abused());
        assert_eq!(tally.running.get(), 0);
    }
}

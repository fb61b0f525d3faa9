//! Upgraded connections: WebSocket and whatever else an `Upgrade` asks for.
//!
//! The request goes to the upstream over a connection of its own. Once the
//! upstream has switched, the client's connection stops speaking HTTP and its
//! task goes on as a [`Tunnel`], which copies bytes both ways.
//!
//! What passes through a tunnel may be writes. So on a route of an extraction
//! it goes where its client's writes go, is in flight until it is closed, and is
//! closed as soon as they no longer do: at a hold, a switch, the lease's end.
//! The client connects again and is then held like any write. What was written
//! through a tunnel is not known one by one, so no pin follows from it. Where
//! operations share a path, it may carry all of them, and needs all owners to be
//! one.

use crate::{
    answer::Refusal,
    body::{RequestBody, ResponseBody},
    caller::Caller,
    deadline::timeout,
    decision::{self, Choosing, Right, WriteVerdict},
    forward::Failure,
    inflight::Flight,
    link::Link,
    operation::batch::{self, Admitted},
    repeat,
    serve::Outcome,
    stay,
    table::{ExtractionIndex, Place, UpstreamIndex},
    upstream::{balance::Tried, patience::Patience},
    wire::Wire,
    worker::{Current, Worker},
    write::choosing,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, header, request::Parts};
use http_body::Body as _;
use hyper::body::Incoming;
use protocol::Side;
use std::{
    cell::Cell,
    future::pending,
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes},
    time::Instant,
};

/// What a tunnel has in memory, each way: messages are mostly small, and there
/// may be as many tunnels as connections.
const TUNNEL_BUFFER_BYTES: usize = 8 << 10;

/// The protocol that a request asks to switch to.
pub(crate) struct Asked(HeaderValue);

/// The protocol that a request asks for, where it may be passed on: HTTP/1.1
/// only, and without a body, for which nobody knows which protocol it is in. A
/// GET only, as RFC 6455 wants it: an upstream may decline and do what it was
/// asked for, and a write must be known as one.
/// Those that are versions of HTTP or its transport are between the client and
/// the gateway, and are not offered.
pub(crate) fn asked(parts: &Parts, body: &Incoming) -> Option<Asked> {
    if parts.method != Method::GET
        || !parts.headers.contains_key(header::UPGRADE)
        || parts.version != Version::HTTP_11
        || !body.is_end_stream()
        || !is_named(&parts.headers)
    {
        return None;
    }
    let mut asked = parts.headers.get_all(header::UPGRADE).iter();
    let (protocol, None) = (asked.next()?, asked.next()) else {
        return None;
    };
    let text = protocol.to_str().ok()?.to_ascii_lowercase();
    let ours = |name: &str| {
        let name = name.trim();
        name.is_empty() || name == "h2c" || name.starts_with("http/") || name.starts_with("tls/")
    };
    (!text.split(',').any(ours)).then(|| Asked(protocol.clone()))
}

/// Whether `Connection` names the upgrade, without which there is none.
fn is_named(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|name| name.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
}

/// Sends an upgrade to the monolith, or to the owner of the route. The tunnel
/// is left with the client's connection.
pub(crate) async fn upgrade(
    worker: &Worker,
    caller: Caller<'_>,
    places: &[Place],
    asked: Asked,
    parts: &mut Parts,
) -> Outcome {
    let Asked(protocol) = asked;
    let (side, upstream, grant) = match admit(worker, caller, places, parts).await {
        Ok(admitted) => admitted,
        Err(refusal) => return Outcome::refused(refusal),
    };
    write_headers(&mut parts.headers, protocol.clone());
    let answer = exchange(worker, upstream, parts);
    let bound = worker.setup.upstreams.get(upstream).timeouts.first_byte;
    let answer = match timeout(bound, answer).await.ok() {
        None => Err(Refusal::Slow),
        Some(Err(failure)) => Err(failure.refusal()),
        Some(Ok(Answer::Declined(response))) => Ok(response),
        Some(Ok(Answer::Switched(response, upstream))) => {
            let chosen = response.headers().get(header::UPGRADE);
            if chosen.is_some_and(|chosen| is_one_of(chosen, &protocol)) {
                caller.peer.leave_tunnel(Tunnel { upstream, grant });
                Ok(response)
            } else {
                Err(Refusal::BadAnswer)
            }
        }
    };
    Outcome::at(side, answer)
}

/// Writes the two headers that make an upgrade of a message.
pub(crate) fn write_headers(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, protocol);
}

fn is_one_of(chosen: &HeaderValue, asked: &HeaderValue) -> bool {
    let chosen = chosen.as_bytes().trim_ascii();
    asked
        .as_bytes()
        .split(|byte| *byte == b',')
        .any(|one| one.trim_ascii().eq_ignore_ascii_case(chosen))
}

async fn admit(
    worker: &Worker,
    caller: Caller<'_>,
    places: &[Place],
    parts: &mut Parts,
) -> Result<(Side, UpstreamIndex, Grant), Refusal> {
    let client = caller.client(&parts.headers, &parts.uri);
    let Admitted { way, rights } = batch::admit(worker, places, client, Some(0)).await?;
    let grants = rights.into_iter().map(|(route, right, flight)| Granted {
        extraction: route.extraction,
        right,
        choosing: choosing(&worker.setup, route, client),
        flight,
    });
    let grant = Grant(grants.collect());
    for granted in &grant.0 {
        if let Some(force) = &worker.setup.table.entry(granted.extraction).force {
            force.strip(&mut parts.headers);
        }
    }
    if let Some(route) = way.redirect {
        stay::redirect(worker, worker.setup.table.stay(route), parts)?;
    }
    Ok((stay::side(way.upstream), way.upstream, grant))
}

/// What an upstream answered.
enum Answer {
    /// It speaks another protocol from now on.
    Switched(Response<ResponseBody>, Wire),
    Declined(Response<ResponseBody>),
}

/// Sends the request over a connection of its own, once.
async fn exchange(
    worker: &Worker,
    upstream: UpstreamIndex,
    parts: &mut Parts,
) -> Result<Answer, Failure> {
    let local = worker.upstreams.get(upstream);
    let upstream = &local.upstream;
    let chosen = local.choose(&worker.upstreams.random, Tried::default());
    let instance = &upstream.instances[chosen];
    let url = &instance.url;
    let busy = local.pool.busy(chosen);
    let connecting = Link::connect(busy, &instance.addresses, upstream.timeouts.connect);
    let link = connecting.await.map_err(|error| {
        tracing::warn!(upstream = %url, %error, "upstream not reached");
        upstream.failed(chosen);
        Failure::NotSent(Refusal::Unreachable)
    })?;
    let begun = Instant::now();
    let mut request = repeat::request(parts, RequestBody::none());
    let (response, link) = link.exchange(&mut request).await.map_err(|none| {
        let error = none.error;
        tracing::warn!(upstream = %url, %error, "upgrade lost at the upstream");
        Failure::Sent(Refusal::Lost)
    })?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let (pool, patience) = (Rc::clone(&local.pool), Patience::new(begun));
        let response = response.map(|body| ResponseBody::upstream(body, link, pool, patience));
        return Ok(Answer::Declined(response));
    }
    let response = response.map(|_none| ResponseBody::empty());
    Ok(Answer::Switched(response, link.into_wire()))
}

/// What lets a tunnel be: that the writes of all these go where it leads. None
/// for routes that stay.
struct Grant(Vec<Granted>);

/// That of one extraction.
struct Granted {
    extraction: ExtractionIndex,
    right: Right,
    /// Where data are shared, another share may move the client.
    choosing: Choosing,
    flight: Flight,
}

/// An upstream that speaks another protocol than HTTP with the client.
pub(crate) struct Tunnel {
    upstream: Wire,
    grant: Grant,
}

/// Why a tunnel was closed.
enum End {
    Done(io::Result<(u64, u64)>),
    Idle,
    Revoked,
}

impl Tunnel {
    /// Copies bytes both ways until both sides have ended, nothing was said for
    /// too long, or it must not be any longer.
    pub(crate) async fn run(self, current: &Current, client: Wire) {
        let Self {
            mut upstream,
            mut grant,
        } = self;
        let bound = current.get().setup.settings.upgraded_idle;
        let last = Cell::new(Instant::now());
        let mut client = Watched {
            wire: client,
            last: &last,
        };
        let end = {
            let copying = copy_bidirectional_with_sizes(
                &mut client,
                &mut upstream,
                TUNNEL_BUFFER_BYTES,
                TUNNEL_BUFFER_BYTES,
            );
            tokio::select! {
                // First of all, not a byte more.
                biased;
                () = grant.revoked(current) => End::Revoked,
                done = copying => End::Done(done),
                () = silence(&last, bound) => End::Idle,
            }
        };
        // The upstream first: what was in flight has then ended, or never will.
        drop(upstream);
        drop(grant);
        match end {
            End::Done(Ok((sent, received))) => {
                tracing::debug!(sent, received, "upgraded connection ended");
            }
            End::Done(Err(error)) => tracing::debug!(%error, "upgraded connection broke"),
            End::Idle => tracing::debug!("upgraded connection closed, it was idle"),
            End::Revoked => tracing::info!("upgraded connection closed for a hand-over"),
        }
    }
}

impl Grant {
    /// Resolves when the tunnel must be closed. While the owners stay, the
    /// flights follow the routing, so that they do not look like old ones.
    async fn revoked(&mut self, current: &Current) {
        if self.0.is_empty() {
            return pending().await;
        }
        loop {
            let worker = current.get();
            let told = Rc::clone(&worker.rerouted);
            let mut rerouted = pin!(told.notified());
            rerouted.as_mut().enable();
            for one in &mut self.0 {
                let standing = worker.shared.snapshot.load().standing(one.extraction);
                match decision::write(standing, worker.shared.lease(), || one.choosing) {
                    WriteVerdict::Forward(now) if now == one.right => {
                        one.flight = worker.inflight.enter(one.extraction, standing);
                    }
                    _ => return,
                }
            }
            // A tunnel may last longer than this plan.
            drop(worker);
            rerouted.await;
        }
    }
}

/// Resolves when nothing has happened for `bound`.
async fn silence(last: &Cell<Instant>, bound: Duration) {
    loop {
        let until = last.get() + bound;
        tokio::time::sleep_until(until).await;
        if last.get() + bound <= until {
            return;
        }
    }
}

/// A wire that notes when something went over it last.
struct Watched<'a> {
    wire: Wire,
    last: &'a Cell<Instant>,
}

impl Watched<'_> {
    fn note<T>(&self, outcome: Poll<T>) -> Poll<T> {
        if outcome.is_ready() {
            self.last.set(Instant::now());
        }
        outcome
    }
}

impl AsyncRead for Watched<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.wire).poll_read(cx, buffer);
        self.note(read)
    }
}

impl AsyncWrite for Watched<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.wire).poll_write(cx, bytes);
        self.note(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upstream_may_choose_only_what_was_asked_for() {
        let header = HeaderValue::from_static;
        assert!(is_one_of(&header("WebSocket"), &header("websocket")));
        assert!(is_one_of(&header("b"), &header("a, b")));
        assert!(!is_one_of(&header("h2c"), &header("websocket")));
        assert!(!is_one_of(&header(""), &header("websocket")));
    }

    #[test]
    fn an_upgrade_is_named_by_the_connection() {
        let headers =
            |value| HeaderMap::from_iter([(header::CONNECTION, HeaderValue::from_static(value))]);
        assert!(is_named(&headers("keep-alive, Upgrade")));
        assert!(!is_named(&headers("keep-alive")));
        assert!(!is_named(&headers("upgrades")));
    }
}

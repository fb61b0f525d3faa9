//! Sending a request to one side. Whether it is sent there once more, or to the
//! other side, is for [`super::resend`] to say; here it is done.

use super::{
    missed::{LostRequest, Missed, lost, lost_kept, text},
    replayable,
    resend::{Attempt, SameSide, Sends, SideResult, to_same_side},
};
use crate::{
    base::{deadline::timeout_at, headers::CORRELATION_ID, index::UpstreamIndex, refusal::Refusal},
    body::{Progress, RequestBody},
    state::worker::Worker,
    upstream::{
        balance::Tried,
        body_timeout::BodyTimeout,
        failure::Failure,
        http1::{Came, IncomingBody, UpstreamConnection},
        interim::Interim,
        local::Local,
        own_connections::{OwnConnections, Return},
        response_body::ResponseBody,
        retry::{Ending, RetryAfter, pause},
        upstreams::count,
    },
};
use http::{HeaderValue, Request, Response, StatusCode, header};
use plan::{Protocol, RouteTimeouts, Timeouts};
use std::{
    cell::Cell,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;

/// How a request is sent.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) sends: Sends,
    /// How long it is waited for when the plan's time is over.
    pub(crate) linger: Option<Duration>,
    pub(crate) timeouts: &'a RouteTimeouts,
    /// The connections that are its client's own.
    pub(crate) own: Option<&'a Rc<OwnConnections>>,
    /// Where interim answers are left.
    pub(crate) interim: Option<&'a Interim>,
}

/// The same to an upstream.
#[derive(Clone, Copy)]
struct Trying<'a> {
    begun: Instant,
    timeouts: Timeouts,
    sends: Sends,
    own: Option<&'a Rc<OwnConnections>>,
    interim: Option<&'a Interim>,
}

impl Trying<'_> {
    fn returns<A, B>(&self, is_own: bool, asked: &Request<A>, answered: &Response<B>) -> Return {
        Return::of(self.own, is_own, asked.headers(), answered.headers())
    }
}

/// Sends a request to an upstream and waits for the head of its answer, for as
/// long as the plan allows and `linger` on top of that. When the plan's time is
/// over, the upstream has failed, though its answer may still come. The request
/// stays, but for a body that is passed on as it comes.
pub(crate) async fn forward(
    worker: &Worker,
    index: UpstreamIndex,
    request: &mut Request<RequestBody>,
    terms: Terms<'_>,
) -> Result<Response<ResponseBody>, Failure> {
    let begun = Instant::now();
    let local = worker.upstreams.get(index);
    let upstream = &local.upstream;
    let linger = terms.linger;
    let timeouts = terms.timeouts.over(upstream.timeouts);
    let trying = Trying {
        begun,
        timeouts,
        sends: terms.sends,
        own: terms.own,
        interim: terms.interim,
    };
    let mut permit = match local.pass(begun.into_std()) {
        Ok(permit) => permit,
        Err(after) => return Err(Failure::NotSent(Refusal::breaker_open(after))),
    };
    let progress = request.body().progress();
    let place = Cell::new(0);
    let correlation = request.headers().get(CORRELATION_ID).cloned();
    // Made in its place: a future that is moved is kept twice.
    let mut answer = pin!(tries(worker, local, request, trying, &place));
    let patient = first_byte(timeouts, begun, progress.as_ref(), answer.as_mut());
    let mut ended = patient.await;
    if ended.is_none() {
        let correlation_id = correlation.as_ref().map(text);
        tracing::warn!(upstream = %upstream.name, correlation_id, "upstream did not answer in time");
        upstream.failed(place.get());
        if let Some(permit) = permit.take() {
            permit.end(true);
        }
        if let Some(linger) = linger {
            ended = timeout_at(Instant::now() + linger, answer).await.ok();
        }
    }
    let ended = ended.unwrap_or(Err(Failure::Sent(Refusal::Slow)));
    if let Some(permit) = permit {
        match &ended {
            Ok(response) => permit.end(local.is_failure(response.status())),
            Err(failure) if failure.refusal().is_the_upstreams() => permit.end(true),
            // The client's doing: it says nothing about the upstream.
            Err(_) => drop(permit),
        }
    }
    ended
}

/// Sends a request of the gateway's own, once. Its result counts for neither
/// breaker nor ejection nor retry budget.
pub(crate) async fn beside(
    worker: &Worker,
    index: UpstreamIndex,
    request: &mut Request<RequestBody>,
) -> Result<Response<ResponseBody>, Refusal> {
    let local = worker.upstreams.get(index);
    let chosen = local.choose(&worker.upstreams.random, Tried::default());
    let trying = Trying {
        begun: Instant::now(),
        timeouts: local.upstream.timeouts,
        sends: Sends::Again,
        own: None,
        interim: None,
    };
    let asked = try_once(local, chosen, request, trying);
    asked.await.map_err(|missed| missed.refusal)
}

/// Tries an instance, and others where that is allowed.
async fn tries(
    worker: &Worker,
    local: &Local,
    request: &mut Request<RequestBody>,
    trying: Trying<'_>,
    place: &Cell<usize>,
) -> Result<Response<ResponseBody>, Failure> {
    let (upstream, random) = (&local.upstream, &worker.upstreams.random);
    if upstream.retries.attempts > 1 {
        local.deposit();
    }
    let (mut tried, mut was_sent) = (Tried::default(), false);
    let mut attempt = 1;
    loop {
        let own = trying.own.filter(|_| attempt == 1);
        let own = own.and_then(|own| own.instance(&local.pool));
        let chosen = own.unwrap_or_else(|| local.choose(random, tried));
        place.set(chosen);
        tried.add(chosen);
        let (ended, ending, outcome) = match try_once(local, chosen, request, trying).await {
            Ok(response) => {
                if !is_gateway_error(response.status()) {
                    upstream.succeeded(chosen);
                    return Ok(response);
                }
                was_sent = true;
                let after = response.headers().get(header::RETRY_AFTER);
                let after = RetryAfter::read(after.map(HeaderValue::as_bytes));
                (Ok(response), Ending::Refused(after), Attempt::GatewayError)
            }
            Err(missed) if !missed.refusal.is_the_upstreams() => {
                // The client's doing: the instance has not failed.
                return Err(Failure::Sent(missed.refusal));
            }
            Err(missed) => {
                was_sent |= missed.was_sent;
                let failure = if was_sent {
                    Failure::Sent
                } else {
                    Failure::NotSent
                };
                let failed = Err(failure(missed.refusal));
                (failed, Ending::NoAnswer, missed.attempt)
            }
        };
        upstream.failed(chosen);
        if to_same_side(trying.sends, outcome) == SameSide::GivenUp {
            return ended;
        }
        let Some(pause) = pause(&upstream.retries, attempt, ending, random.next()) else {
            return ended;
        };
        if !local.withdraw() {
            count(&upstream.counts.retries_refused);
            return ended;
        }
        count(&upstream.counts.retries);
        drop(ended);
        // Boxed, as all that is seldom: requests keep the room for it.
        Box::pin(tokio::time::sleep(pause)).await;
        attempt += 1;
    }
}

/// Sends a request to one instance: over a kept connection where there is one,
/// and over a new one.
async fn try_once(
    local: &Local,
    chosen: usize,
    request: &mut Request<RequestBody>,
    trying: Trying<'_>,
) -> Result<Response<ResponseBody>, Missed> {
    let Trying { begun, sends, .. } = trying;
    let upstream = &local.upstream;
    request.body_mut().restrict(&upstream.trailers);
    if upstream.protocol == Protocol::H2c {
        // Its future is large.
        return Box::pin(multiplexed(local, chosen, request, trying)).await;
    }
    let own = match (trying.own, sends) {
        (None, _) => None,
        (Some(own), Sends::Again) => own.take(&local.pool, chosen),
        (Some(own), Sends::Once) => own.take_fresh(&local.pool, chosen).await,
    };
    let is_own = own.is_some();
    let kept = match sends {
        _ if is_own => own,
        Sends::Again => local.pool.take(chosen, begun.into_std()),
        Sends::Once => local.pool.take_fresh(chosen, begun.into_std()).await,
    };
    let mut was_sent = false;
    if let Some(connection) = kept {
        let idle_since = connection.idle_since();
        match connection.exchange(request, trying.interim).await {
            Ok((response, connection)) => {
                let answered = (response, connection);
                return answer(local, chosen, request, answered, trying, is_own);
            }
            Err(none) => {
                let attempt = if none.is_unsent {
                    Attempt::KeptUnsent
                } else if none.error.is_connections() {
                    Attempt::KeptBroken
                } else {
                    Attempt::Broken
                };
                if to_same_side(sends, attempt) != SameSide::AtOnce {
                    let request = LostRequest::of(upstream, chosen, request);
                    let is_silent = none.error.is_connections() && none.came == Came::Nothing;
                    return Err(if is_silent {
                        let idle = begun.into_std().saturating_duration_since(idle_since);
                        lost_kept(request, &none.error, idle)
                    } else {
                        lost(request, &none)
                    });
                }
                was_sent = !none.is_unsent;
            }
        }
    }
    let (busy, timeouts) = (local.pool.busy(chosen), trying.timeouts);
    let found = &upstream.instances[chosen];
    // Seldom, and large.
    let connecting = Box::pin(UpstreamConnection::connect(
        busy,
        &found.addresses,
        timeouts.connect,
    ));
    let connection = match connecting.await {
        Ok(connection) => connection,
        Err(error) => {
            let LostRequest { url, id, path } = LostRequest::of(upstream, chosen, request);
            tracing::warn!(upstream = %url, correlation_id = id, path, %error, "upstream not reached");
            return Err(Missed {
                refusal: Refusal::Unreachable,
                attempt: Attempt::Unsent,
                was_sent,
            });
        }
    };
    match connection.exchange(request, trying.interim).await {
        Ok((response, connection)) => {
            let answered = (response, connection);
            answer(local, chosen, request, answered, trying, false)
        }
        Err(none) if none.is_unsent => {
            let LostRequest { url, id, path } = LostRequest::of(upstream, chosen, request);
            let error = none.error;
            tracing::warn!(upstream = %url, correlation_id = id, path, %error, "request not sent");
            Err(Missed {
                refusal: Refusal::Lost,
                attempt: Attempt::Unsent,
                was_sent,
            })
        }
        Err(none) => Err(lost(LostRequest::of(upstream, chosen, request), &none)),
    }
}

/// Sends a request to an instance that speaks HTTP/2.
async fn multiplexed(
    local: &Local,
    chosen: usize,
    request: &mut Request<RequestBody>,
    trying: Trying<'_>,
) -> Result<Response<ResponseBody>, Missed> {
    let Trying {
        begun, timeouts, ..
    } = trying;
    let upstream = &local.upstream;
    // It is used up, and so leaves a copy: also what is sent once may be sent
    // elsewhere, where nothing of it has reached this upstream.
    let request = match replayable::copy(request) {
        Some(copy) => copy.map(RequestBody::Whole),
        None => std::mem::take(request),
    };
    let (found, bound) = (&upstream.instances[chosen], timeouts.connect);
    let _busy = local.pool.busy(chosen);
    let answer = local.multiplexed.forward(chosen, found, bound, request);
    let mut response = answer.await.map_err(|failure| Missed {
        refusal: failure.refusal(),
        attempt: match failure {
            Failure::NotSent(_) => Attempt::UnsentUsedUp,
            Failure::Sent(_) => Attempt::Broken,
        },
        was_sent: matches!(failure, Failure::Sent(_)),
    })?;
    upstream.hide(response.headers_mut());
    let (pool, body_timeout) = (
        Rc::clone(&local.pool),
        BodyTimeout::new(begun, timeouts, &response),
    );
    Ok(response.map(|(body, place)| ResponseBody::stream(body, place, pool, body_timeout)))
}

fn answer(
    local: &Local,
    chosen: usize,
    request: &Request<RequestBody>,
    (mut response, connection): (Response<IncomingBody>, UpstreamConnection),
    trying: Trying<'_>,
    is_own: bool,
) -> Result<Response<ResponseBody>, Missed> {
    // Before a header that says so is hidden.
    let returns = trying.returns(is_own, request, &response);
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let LostRequest { url, id, path } = LostRequest::of(&local.upstream, chosen, request);
        tracing::warn!(
            upstream = %url,
            correlation_id = id,
            path,
            "answer refused: nobody asked for another protocol"
        );
        return Err(Missed {
            refusal: Refusal::BadAnswer,
            attempt: Attempt::Broken,
            was_sent: true,
        });
    }
    local.upstream.hide(response.headers_mut());
    let pool = Rc::clone(&local.pool);
    let body_timeout = BodyTimeout::new(trying.begun, trying.timeouts, &response);
    Ok(response.map(|body| ResponseBody::upstream(body, connection, pool, body_timeout, returns)))
}

/// Whether an answer says that it does not come from who was asked.
pub(crate) fn is_gateway_error(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}

/// Waits for an answer for as long as the plan allows after the request was
/// sent. `None` is too late. The future stays where it is: it is some KiB large.
pub(crate) async fn first_byte<F: Future>(
    timeouts: Timeouts,
    begun: Instant,
    progress: Option<&Progress>,
    mut answer: Pin<&mut F>,
) -> Option<F::Output> {
    let deadline = timeouts.whole.map(|whole| begun + whole);
    loop {
        let sent = progress.map_or(begun, Progress::last);
        let end = sent + timeouts.first_byte;
        let end = deadline.map_or(end, |deadline| deadline.min(end));
        match timeout_at(end, answer.as_mut()).await {
            Ok(output) => return Some(output),
            Err(_) if deadline.is_some_and(|deadline| deadline <= end) => return None,
            Err(_) if progress.is_some_and(|progress| progress.last() > sent) => {}
            Err(_) => return None,
        }
    }
}

/// A future that is polled in place, and goes on as a task when it is dropped
/// before its end: a write that was begun is seen through to its answer, though
/// its client has gone.
pub(crate) struct SeenThrough<F: Future<Output: 'static> + 'static>(Option<Pin<Box<F>>>);

impl<F: Future<Output: 'static> + 'static> SeenThrough<F> {
    pub(crate) fn new(future: F) -> Self {
        Self(Some(Box::pin(future)))
    }
}

impl<F: Future<Output: 'static> + 'static> Future for SeenThrough<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Some(future) = &mut self.0 else {
            return Poll::Pending;
        };
        let output = future.as_mut().poll(cx);
        if output.is_ready() {
            self.0 = None;
        }
        output
    }
}

impl<F: Future<Output: 'static> + 'static> Drop for SeenThrough<F> {
    fn drop(&mut self) {
        if let Some(future) = self.0.take()
            && !std::thread::panicking()
        {
            tokio::task::spawn_local(future);
        }
    }
}

/// Whether the other side may do better.
pub(crate) fn has_failed(answer: &Result<Response<ResponseBody>, Refusal>) -> bool {
    match answer {
        Err(refusal) => refusal.is_the_upstreams(),
        Ok(response) => is_gateway_error(response.status()),
    }
}

/// What came of a request at its side.
pub(crate) fn side_result(answer: &Result<Response<ResponseBody>, Failure>) -> SideResult {
    match answer {
        Ok(response) if is_gateway_error(response.status()) => SideResult::Failed,
        Ok(_) => SideResult::Answered,
        Err(failure) if !failure.refusal().is_the_upstreams() => SideResult::ClientFault,
        Err(Failure::NotSent(_)) => SideResult::NotSent,
        Err(Failure::Sent(_)) => SideResult::Failed,
    }
}

//! Sending a request to one side, at most twice, and never twice where it may
//! have had an effect.
//!
//! | what happened                                        | read         | write        |
//! |------------------------------------------------------|--------------|--------------|
//! | a kept connection was closed before a byte was sent  | once more    | once more    |
//! | a kept connection broke after that, without an answer| once more    | given up     |
//! | a new connection broke without an answer             | given up     | given up     |
//! | no connection                                        | given up     | given up     |
//!
//! "Once more" is on a new connection to the same side. A read that is given
//! up on a side that does not own goes to the owner (`read`).

use crate::{
    answer::Refusal,
    body::{Progress, RequestBody, ResponseBody},
    client::Client,
    link::Link,
    peer::Peer,
    table::UpstreamIndex,
    worker::Worker,
};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, request::Parts};
use plan::Protocol;
use std::{
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;

/// Why there is no answer to pass on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Not a byte of the request left the gateway.
    NotSent(Refusal),
    /// It may have had its effect.
    Sent(Refusal),
}

impl Failure {
    pub(crate) fn refusal(self) -> Refusal {
        match self {
            Self::NotSent(refusal) | Self::Sent(refusal) => refusal,
        }
    }
}

/// A head to send once more: of a safe request without a body.
pub(crate) struct Spare {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Spare {
    pub(crate) fn of(parts: &Parts) -> Self {
        let Parts {
            method,
            uri,
            headers,
            ..
        } = parts;
        Self {
            method: method.clone(),
            uri: uri.clone(),
            headers: headers.clone(),
        }
    }

    /// The client whose request it is.
    pub(crate) fn client<'a>(&'a self, peer: &'a Peer) -> Client<'a> {
        Client {
            headers: &self.headers,
            uri: &self.uri,
            peer,
        }
    }

    pub(crate) fn request(&self) -> Request<RequestBody> {
        let mut request = Request::new(RequestBody::none());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// Sends a request to an upstream and waits for the head of its answer, for as
/// long as it takes.
pub(crate) async fn forward(
    worker: &Worker,
    upstream: UpstreamIndex,
    mut request: Request<RequestBody>,
    spare: Option<&Spare>,
) -> Result<Response<ResponseBody>, Failure> {
    let table = &worker.shared.table;
    if table.protocol(upstream) == Protocol::H2c {
        let multiplexed = worker.multiplexed.forward(table, upstream, request);
        return Box::pin(multiplexed).await;
    }
    let kept = match spare {
        Some(_) => worker.pool.take(upstream),
        None => worker.pool.take_fresh(upstream).await,
    };
    if let Some(link) = kept {
        match link.exchange(request).await {
            Ok((response, link)) => return answer(worker, response, link),
            Err(none) => match (none.unsent, spare) {
                (Some(unsent), _) => request = unsent,
                (None, Some(spare)) => request = spare.request(),
                (None, None) => return Err(lost(worker, upstream, &none.error)),
            },
        }
    }
    let url = &worker.shared.table.upstreams()[upstream.get()];
    let link = Link::connect(upstream, url).await.map_err(|error| {
        tracing::warn!(upstream = %url, %error, "upstream not reached");
        Failure::NotSent(Refusal::Unreachable)
    })?;
    match link.exchange(request).await {
        Ok((response, link)) => answer(worker, response, link),
        Err(none) if none.unsent.is_some() => Err(Failure::NotSent(Refusal::Lost)),
        Err(none) => Err(lost(worker, upstream, &none.error)),
    }
}

fn lost(worker: &Worker, upstream: UpstreamIndex, error: &hyper::Error) -> Failure {
    let url = &worker.shared.table.upstreams()[upstream.get()];
    tracing::warn!(upstream = %url, %error, "request lost at the upstream");
    Failure::Sent(Refusal::Lost)
}

fn answer(
    worker: &Worker,
    response: Response<hyper::body::Incoming>,
    link: Link,
) -> Result<Response<ResponseBody>, Failure> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        // Nobody asked for it: the request's `Upgrade` was removed.
        return Err(Failure::Sent(Refusal::BadAnswer));
    }
    let pool = Rc::clone(&worker.pool);
    Ok(response.map(|body| ResponseBody::upstream(body, link, pool)))
}

/// Waits for an answer for up to `bound` after the request was sent. `None` is
/// too late.
pub(crate) async fn first_byte<F: Future>(
    bound: Duration,
    progress: Option<&Progress>,
    answer: F,
) -> Option<F::Output> {
    let mut answer = pin!(answer);
    let begun = Instant::now();
    loop {
        let sent = progress.map_or(begun, Progress::last);
        match tokio::time::timeout_at(sent + bound, &mut answer).await {
            Ok(output) => return Some(output),
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

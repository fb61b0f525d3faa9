//! Active health checks and look-ups of names: one task per instance, all on
//! the first worker, whose results every worker sees. They end with its part of
//! the upstream.

use super::{Upstream, instance::Instance};
use crate::random::Random;
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use plan::HealthChecks;
use std::{rc::Rc, sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::JoinSet};

/// The most checks at once: they must not weigh on the requests beside them.
const CHECKS_MAX: usize = 16;

/// The largest head of an answer to a check.
const HEAD_BYTES_MAX: usize = 16 << 10;

const USER_AGENT: HeaderValue = HeaderValue::from_static("banyan-health-check");

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error("cannot be reached: {0}")]
    Connect(#[from] std::io::Error),
    #[error("does not answer: {0}")]
    Exchange(#[from] hyper::Error),
    #[error("the path cannot be asked for: {0}")]
    Path(#[from] http::Error),
    #[error("answers {0}")]
    Status(StatusCode),
    #[error("does not answer in time")]
    Late,
}

/// Whose turn it is to be checked, over all upstreams.
#[derive(Clone)]
pub(crate) struct Turns(Rc<Semaphore>);

impl Turns {
    pub(crate) fn new() -> Self {
        Self(Rc::new(Semaphore::new(CHECKS_MAX)))
    }
}

/// Begins with an upstream; ends when it is dropped.
pub(crate) fn start(upstream: &Arc<Upstream>, turns: &Turns) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for place in 0..upstream.instances.len() {
        if upstream.instances[place].addresses.is_name() {
            tasks.spawn_local(look_up(Arc::clone(upstream), place));
        }
        if upstream.health.is_some() {
            tasks.spawn_local(check(Arc::clone(upstream), place, turns.clone()));
        }
    }
    tasks
}

async fn look_up(upstream: Arc<Upstream>, place: usize) {
    let instance = &upstream.instances[place];
    let random = Random::new();
    loop {
        instance.addresses.refresh().await;
        tokio::time::sleep(jittered(upstream.resolve_every(), &random)).await;
    }
}

async fn check(upstream: Arc<Upstream>, place: usize, turns: Turns) {
    let instance = &upstream.instances[place];
    let Some(checks) = &upstream.health else {
        return;
    };
    let random = Random::new();
    loop {
        let result = {
            // It is never closed.
            let _permit = turns.0.acquire().await;
            let asking = tokio::time::timeout(checks.timeout, ask(instance, checks));
            asking.await.unwrap_or(Err(CheckError::Late))
        };
        if let Err(error) = &result {
            tracing::debug!(upstream = %upstream.name, instance = %instance.url, %error,
                "health check failed");
        }
        instance.checked(result.is_ok(), checks);
        tokio::time::sleep(jittered(checks.interval, &random)).await;
    }
}

/// Asks on a connection of its own: a kept one would say nothing about whether
/// new ones can be made.
async fn ask(instance: &Instance, checks: &HealthChecks) -> Result<(), CheckError> {
    let stream = instance.addresses.connect(checks.timeout).await?;
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await?;
    let request = Request::get(checks.path.as_str())
        .header(header::HOST, instance.addresses.authority())
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request);
    tokio::pin!(answer, connection);
    let response = tokio::select! {
        biased;
        response = &mut answer => response?,
        ended = &mut connection => {
            ended?;
            answer.await?
        }
    };
    match response.status() {
        status if status.is_success() => Ok(()),
        status => Err(CheckError::Status(status)),
    }
}

/// A tenth more or less, so that gateways do not ask all at the same time.
fn jittered(interval: Duration, random: &Random) -> Duration {
    let share = 90 + u32::try_from(random.next() % 21).unwrap_or(10);
    interval * share / 100
}

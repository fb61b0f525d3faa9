//! Active health checks and look-ups of names: one task per instance, all on
//! the first worker, whose results every worker sees. They end with its part of
//! the upstream.

use super::{addresses::Addresses, upstreams::Upstream};
use crate::base::random::Random;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Empty;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use plan::{HealthChecks, HostAddresses, Protocol};
use std::{rc::Rc, sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::JoinSet};

/// The most checks at once: they must not weigh on the requests beside them.
const CHECKS_MAX: usize = 16;

/// The largest head of an answer to a check.
const HEAD_BYTES_MAX: u32 = 16 << 10;

/// How long an upstream of which the plan says nothing may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

const USER_AGENT: HeaderValue = HeaderValue::from_static("banyan-health-check");

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// No connection.
    #[error("cannot be reached: {0}")]
    Connect(#[from] std::io::Error),
    /// A connection, but no answer.
    #[error("does not answer: {0}")]
    Exchange(#[from] hyper::Error),
    /// The plan's path is none.
    #[error("the path cannot be asked for: {0}")]
    Path(#[from] http::Error),
    /// It says that it cannot.
    #[error("answers {0}")]
    Status(StatusCode),
    /// Not within the plan's time.
    #[error("does not answer in time")]
    Late,
}

/// Whose turn it is to be checked, over all upstreams.
#[derive(Clone)]
pub(crate) struct CheckSemaphore(Rc<Semaphore>);

impl CheckSemaphore {
    pub(crate) fn new() -> Self {
        Self(Rc::new(Semaphore::new(CHECKS_MAX)))
    }
}

/// Begins with an upstream; ends when it is dropped.
pub(crate) fn start(upstream: &Arc<Upstream>, checks_semaphore: &CheckSemaphore) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for place in 0..upstream.instances.len() {
        if upstream.instances[place].addresses.is_name() {
            tasks.spawn_local(look_up(Arc::clone(upstream), place));
        }
        if upstream.health.is_some() {
            tasks.spawn_local(check(Arc::clone(upstream), place, checks_semaphore.clone()));
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

async fn check(upstream: Arc<Upstream>, place: usize, checks_semaphore: CheckSemaphore) {
    let instance = &upstream.instances[place];
    let Some(checks) = &upstream.health else {
        return;
    };
    let random = Random::new();
    loop {
        let result = {
            // It is never closed.
            let _permit = checks_semaphore.0.acquire().await;
            in_time(&instance.addresses, upstream.protocol, checks).await
        };
        if let Err(error) = &result {
            tracing::debug!(upstream = %upstream.name, instance = %instance.url, %error,
                "health check failed");
        }
        instance.checked(result.is_ok(), checks);
        tokio::time::sleep(jittered(checks.interval, &random)).await;
    }
}

/// Asks an upstream now whether it can work: whether an instance answers as the
/// plan wants, or where it says nothing of that, whether one answers at all.
/// The error is that of its first instance. Cancel safe.
pub async fn check_health(
    upstream: &plan::Upstream,
    resolve: &HostAddresses,
) -> Result<(), CheckError> {
    let mut first = None;
    for instance in upstream.instances() {
        let addresses = Addresses::new(instance, resolve);
        let asked = match &upstream.health {
            Some(checks) => in_time(&addresses, upstream.protocol, checks).await,
            None => answers(&addresses, upstream.protocol).await,
        };
        match asked {
            Ok(()) => return Ok(()),
            Err(error) => first = first.or(Some(error)),
        }
    }
    first.map_or(Ok(()), Err)
}

/// Whether anything answers that is no proxy before nothing.
async fn answers(addresses: &Addresses, protocol: Protocol) -> Result<(), CheckError> {
    let asking = ask(addresses, protocol, Method::HEAD, "/", ANSWER_TIMEOUT);
    let status = tokio::time::timeout(ANSWER_TIMEOUT, asking).await;
    let status = status.unwrap_or(Err(CheckError::Late))?;
    match status {
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            Err(CheckError::Status(status))
        }
        _ => Ok(()),
    }
}

async fn in_time(
    addresses: &Addresses,
    protocol: Protocol,
    checks: &HealthChecks,
) -> Result<(), CheckError> {
    let asking = ask(
        addresses,
        protocol,
        Method::GET,
        &checks.path,
        checks.timeout,
    );
    let asking = tokio::time::timeout(checks.timeout, asking);
    let status = asking.await.unwrap_or(Err(CheckError::Late))?;
    if status.is_success() {
        Ok(())
    } else {
        Err(CheckError::Status(status))
    }
}

/// Asks on a connection of its own: a kept one would say nothing about whether
/// new ones can be made.
async fn ask(
    addresses: &Addresses,
    protocol: Protocol,
    method: Method,
    path: &str,
    limit: Duration,
) -> Result<StatusCode, CheckError> {
    let wire = TokioIo::new(addresses.connect(limit).await?);
    let authority = addresses.authority();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::USER_AGENT, USER_AGENT);
    match protocol {
        Protocol::Http1 => {
            let (mut sender, connection) = http1::Builder::new()
                .max_buf_size(HEAD_BYTES_MAX as usize)
                .handshake(wire)
                .await?;
            let request = request
                .header(header::HOST, authority)
                .header(header::CONNECTION, "close")
                .body(Empty::<Bytes>::new())?;
            Ok(answered(sender.send_request(request), connection).await?)
        }
        Protocol::H2c => {
            let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
                .max_header_list_size(HEAD_BYTES_MAX)
                .handshake(wire)
                .await?;
            let request = request
                .uri(format!("http://{authority}{path}"))
                .body(Empty::<Bytes>::new())?;
            Ok(answered(sender.send_request(request), connection).await?)
        }
    }
}

/// The status of an answer, for which its connection is driven.
async fn answered<B>(
    answer: impl Future<Output = hyper::Result<Response<B>>>,
    connection: impl Future<Output = hyper::Result<()>>,
) -> hyper::Result<StatusCode> {
    tokio::pin!(answer, connection);
    let response = tokio::select! {
        biased;
        response = &mut answer => response?,
        ended = &mut connection => {
            ended?;
            answer.await?
        }
    };
    Ok(response.status())
}

/// A tenth more or less, so that gateways do not ask all at the same time.
fn jittered(interval: Duration, random: &Random) -> Duration {
    let share = 90 + u32::try_from(random.next() % 21).unwrap_or(10);
    interval * share / 100
}

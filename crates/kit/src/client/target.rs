//! A request from its caller to a response: permit, instance, attempts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Uri, header};
use http_body_util::Full;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use resilience::budget::Deposits;
use resilience::{Budget, Repeats, Share};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::error::ClientError;
use super::instance::{self, Instance};
use super::message::{Message, Response};
use super::policy::Policy;
use super::response_cache::ResponseCache;
use super::transport::{Failure, Transport, is_failure, is_transient};
use crate::auth::{PeerTokens, SERVICE_TOKEN};
use crate::context;

/// The first pause before another attempt; it doubles, and a random part of it
/// is waited, so that those who failed together do not come together again.
const PAUSE: Duration = Duration::from_millis(50);

/// The longest pause that a response may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Of ten requests one may be repeated. Ten repeats are saved up at most, and
/// there at the start: few requests may fail at once without anything wrong.
const REPEATS: Deposits = Deposits {
    per_request: Share::from_basis_points(1_000),
    per_second: Repeats::new(0),
    saved_max: Repeats::new(10),
};

/// The instances known now.
pub(crate) type Instances = Arc<[Arc<Instance>]>;

/// Where instances come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// One address, for good.
    Fixed(Instances),
    /// What discovery has found last; `None` until it has looked.
    Discovered(watch::Receiver<Option<Instances>>),
}

impl Source {
    pub(crate) fn fixed(url: &str) -> Self {
        Self::Fixed([Arc::new(Instance::new(url.to_owned()))].into())
    }

    /// Waits for the first look only.
    async fn instances(&self) -> Instances {
        match self {
            Self::Fixed(instances) => Arc::clone(instances),
            Self::Discovered(discovered) => {
                let mut discovered = discovered.clone();
                let known = discovered.wait_for(Option::is_some).await;
                // An error: discovery has ended without ever having looked.
                known
                    .map_or_else(|_| None, |known| known.clone())
                    .unwrap_or_default()
            }
        }
    }
}

/// What is counted of a request: its label is one of these.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OutcomeLabels {
    target: String,
    outcome: &'static str,
}

/// What all clients of a service share.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    pub(crate) transport: Transport,
    pub(crate) tokens: PeerTokens,
    pub(crate) outcomes: Family<OutcomeLabels, Counter>,
}

/// Another service, and what is known of it.
#[derive(Debug)]
pub(crate) struct Target {
    name: Arc<str>,
    policy: Policy,
    source: Source,
    /// What every request to it carries.
    headers: HeaderMap,
    common: Common,
    permits: Semaphore,
    waiting: AtomicUsize,
    turn: AtomicUsize,
    budget: Mutex<Budget>,
    cache: ResponseCache,
}

/// How one attempt ended.
enum Attempt {
    Answered(Response),
    /// Another attempt may do better, where it is allowed.
    Transient {
        response: Response,
        pause: Duration,
    },
    Unsent(ClientError),
    Sent(ClientError),
    /// Another attempt could not do better.
    Refused(ClientError),
}

impl Target {
    pub(crate) fn new(
        name: &str,
        policy: Policy,
        source: Source,
        headers: HeaderMap,
        common: Common,
    ) -> Self {
        Self {
            name: name.into(),
            policy,
            source,
            headers,
            common,
            permits: Semaphore::new(policy.concurrency),
            waiting: AtomicUsize::new(0),
            turn: AtomicUsize::new(0),
            budget: Mutex::new(Budget::new(
                REPEATS,
                REPEATS.saved_max,
                std::time::Instant::now(),
            )),
            cache: ResponseCache::default(),
        }
    }

    pub(super) async fn send(&self, message: &Message) -> Result<Response, ClientError> {
        let deadline = Instant::now() + self.policy.timeout;
        let outcome = self.attempts(message, deadline).await;
        let Some(path) = message.cache_key() else {
            return self.counted(outcome);
        };
        let has_failed = match &outcome {
            Ok(response) => is_failure(response.status),
            Err(_) => true,
        };
        if !has_failed {
            if let Ok(response) = &outcome {
                self.cache.store(path, response);
            }
            return self.counted(outcome);
        }
        let age_max = message.stale_max.unwrap_or_default();
        self.counted(self.cache.find(path, age_max).map_or(outcome, Ok))
    }

    fn counted(&self, outcome: Result<Response, ClientError>) -> Result<Response, ClientError> {
        let label = match &outcome {
            Ok(response) if response.is_stale => "kept",
            Ok(response) if is_failure(response.status) => "trouble",
            Ok(_) => "answered",
            Err(ClientError::Full(_) | ClientError::NotSent(_)) => "no-room",
            Err(ClientError::Open(_)) => "open",
            Err(ClientError::NoInstance(_)) => "no-instance",
            Err(ClientError::TimedOut(_)) => "timed-out",
            Err(_) => "failed",
        };
        self.count(label);
        outcome
    }

    fn count(&self, outcome: &'static str) {
        let target = self.name.to_string();
        self.common
            .outcomes
            .get_or_create(&OutcomeLabels { target, outcome })
            .inc();
    }

    async fn attempts(
        &self,
        message: &Message,
        deadline: Instant,
    ) -> Result<Response, ClientError> {
        let name = || self.name.to_string();
        let invalid = |why: &String| ClientError::Invalid(name(), why.clone());
        let body = message.body.as_ref().map_err(invalid)?;
        let _permit = self.permit(deadline).await?;
        let looked = timeout_at(deadline, self.source.instances()).await;
        let instances = looked.map_err(|_| ClientError::NoInstance(name()))?;
        if instances.is_empty() {
            return Err(ClientError::NoInstance(name()));
        }
        self.budget.lock().deposit();
        let (mut attempt, mut failed, mut last) = (1, None, None);
        loop {
            let (ended, url) = self
                .attempt(message, body, &instances, failed.as_deref(), deadline)
                .await;
            let (outcome, repeatable, pause) = match ended {
                Attempt::Answered(response) => return Ok(response),
                // How an attempt ended says more than why there is no other.
                Attempt::Refused(error) => return last.unwrap_or(Err(error)),
                Attempt::Transient { response, pause } => {
                    (Ok(response), message.is_repeatable(), pause)
                }
                Attempt::Unsent(error) => (Err(error), true, Duration::ZERO),
                Attempt::Sent(error) => (Err(error), message.is_repeatable(), Duration::ZERO),
            };
            let again = Instant::now() + pause.max(jittered(attempt));
            let may = repeatable && attempt < self.policy.attempts && again < deadline;
            if !may || !self.budget.lock().withdraw(std::time::Instant::now()) {
                return outcome;
            }
            self.count("repeated");
            tracing::debug!(target = %self.name, attempt, "trying again");
            sleep_until(again).await;
            (attempt, failed, last) = (attempt + 1, url, Some(outcome));
        }
    }

    /// Takes one of the permits to send. Without a free one it waits, as one of
    /// a bounded number.
    async fn permit(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, ClientError> {
        if let Ok(permit) = self.permits.try_acquire() {
            return Ok(permit);
        }
        let full = || ClientError::Full(self.name.to_string());
        let _waiting = Waiting::begin(&self.waiting, self.policy.waiting).ok_or_else(full)?;
        match timeout_at(deadline, self.permits.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            // The semaphore is never closed; late is late.
            Ok(Err(_)) | Err(_) => Err(ClientError::NotSent(self.name.to_string())),
        }
    }

    /// One attempt, and at which instance.
    async fn attempt(
        &self,
        message: &Message,
        body: &Bytes,
        instances: &[Arc<Instance>],
        failed: Option<&str>,
        deadline: Instant,
    ) -> (Attempt, Option<String>) {
        let name = || self.name.to_string();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let Some(in_flight) = instance::choose(instances, turn, failed) else {
            return (Attempt::Refused(ClientError::Open(name())), None);
        };
        let url = in_flight.instance.url.clone();
        let wire = match self.wire(message, body, &url) {
            Ok(wire) => wire,
            Err(error) => return (Attempt::Refused(error), None),
        };
        // The time of one attempt leaves some for others, where there may be.
        let end = if message.is_repeatable() {
            deadline.min(Instant::now() + self.policy.attempt_timeout)
        } else {
            deadline
        };
        let exchange = self
            .common
            .transport
            .exchange(wire, self.policy.response_bytes);
        let ended = match timeout_at(end, exchange).await {
            Ok(Ok((head, body))) => {
                let response = Response {
                    status: head.status(),
                    headers: head.headers().clone(),
                    body,
                    is_stale: false,
                    target: Arc::clone(&self.name),
                };
                in_flight.ended(is_failure(response.status));
                if is_transient(response.status) {
                    let pause = retry_after(&response.headers);
                    Attempt::Transient { response, pause }
                } else {
                    Attempt::Answered(response)
                }
            }
            Ok(Err(failure)) => {
                in_flight.ended(true);
                let target = name();
                match failure {
                    Failure::Unsent(source) => {
                        Attempt::Unsent(ClientError::Connect { target, source })
                    }
                    Failure::Sent(source) => Attempt::Sent(ClientError::Broken { target, source }),
                }
            }
            Err(_) => {
                in_flight.ended(true);
                Attempt::Sent(ClientError::TimedOut(name()))
            }
        };
        (ended, Some(url))
    }

    fn wire(
        &self,
        message: &Message,
        body: &Bytes,
        url: &str,
    ) -> Result<http::Request<Full<Bytes>>, ClientError> {
        let invalid = |why: String| ClientError::Invalid(self.name.to_string(), why);
        // Anything else could change the host.
        if !(message.path.is_empty() || message.path.starts_with('/')) {
            return Err(invalid("its path does not begin with a slash".to_owned()));
        }
        let uri: Uri = format!("{url}{}", message.path)
            .parse()
            .map_err(|error: http::uri::InvalidUri| invalid(error.to_string()))?;
        let mut headers = self.headers.clone();
        headers.extend(message.headers.clone());
        if let Some(context) = context::current() {
            context.write(&mut headers);
        }
        if let Some(token) = self
            .common
            .tokens
            .sign(&self.name, &message.method, uri.path())
        {
            let value = header::HeaderValue::try_from(token);
            headers.insert(
                SERVICE_TOKEN,
                value.map_err(|error| invalid(error.to_string()))?,
            );
        }
        let mut wire = http::Request::new(Full::new(body.clone()));
        *wire.method_mut() = message.method.clone();
        *wire.uri_mut() = uri;
        *wire.headers_mut() = headers;
        Ok(wire)
    }
}

/// One of those that wait for a permit, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a AtomicUsize, most: usize) -> Option<Self> {
        if waiting.fetch_add(1, Ordering::Relaxed) < most {
            return Some(Self(waiting));
        }
        waiting.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The pause after so many attempts: between half of it and all of it.
pub(crate) fn jittered(attempt: u32) -> Duration {
    let half = PAUSE.saturating_mul(1 << attempt.min(10)) / 4;
    // Without randomness all wait the same, which is only less good.
    let random = getrandom::u32().unwrap_or(u32::MAX);
    half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

fn retry_after(headers: &HeaderMap) -> Duration {
    let seconds = headers
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    seconds
        .map_or(Duration::ZERO, Duration::from_secs)
        .min(PAUSE_MAX)
}

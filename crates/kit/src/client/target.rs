//! A request from its caller to an answer: room, instance, attempts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Uri, header};
use http_body_util::Full;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::balance::{self, Instance};
use super::budget::Budget;
use super::exchange::{Failure, Transport, is_trouble, may_pass};
use super::kept::Kept;
use super::{Answer, ClientError, OutcomeLabels, Policy, Request};
use crate::context;
use crate::guard::{PeerTokens, SERVICE_TOKEN};

/// The first pause before another attempt; it doubles, and a random part of it
/// is waited, so that those who failed together do not come together again.
const PAUSE: Duration = Duration::from_millis(50);

/// The longest pause that an answer may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The instances known now.
pub(crate) type Instances = Arc<[Arc<Instance>]>;

/// Where instances come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// One address, for good.
    Fixed(Instances),
    /// What somebody finds, now and later; `None` until they have looked.
    Found(watch::Receiver<Option<Instances>>),
}

impl Source {
    pub(crate) fn fixed(url: &str) -> Self {
        Self::Fixed([Arc::new(Instance::new(url.to_owned()))].into())
    }

    /// Waits for the first look only.
    async fn instances(&self) -> Instances {
        match self {
            Self::Fixed(instances) => Arc::clone(instances),
            Self::Found(found) => {
                let mut found = found.clone();
                let known = found.wait_for(Option::is_some).await;
                // An error: nobody looks any more, and nobody ever did.
                known
                    .map_or_else(|_| None, |known| known.clone())
                    .unwrap_or_default()
            }
        }
    }
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
    room: Semaphore,
    waiting: AtomicUsize,
    turn: AtomicUsize,
    budget: Budget,
    kept: Kept,
}

/// What one attempt came to.
enum Attempt {
    Answered(Answer),
    /// Another try may do better, where it is allowed to.
    Troubled {
        answer: Answer,
        pause: Duration,
    },
    Unsent(ClientError),
    Sent(ClientError),
    /// No use in trying again.
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
            room: Semaphore::new(policy.concurrency),
            waiting: AtomicUsize::new(0),
            turn: AtomicUsize::new(0),
            budget: Budget::default(),
            kept: Kept::default(),
        }
    }

    pub(super) async fn send(&self, request: Request) -> Result<Answer, ClientError> {
        let deadline = Instant::now() + self.policy.timeout;
        let outcome = self.attempts(&request, deadline).await;
        let Some(path) = request.kept_under() else {
            return self.counted(outcome);
        };
        let has_failed = match &outcome {
            Ok(answer) => is_trouble(answer.status),
            Err(_) => true,
        };
        if !has_failed {
            if let Ok(answer) = &outcome {
                self.kept.keep(path, answer);
            }
            return self.counted(outcome);
        }
        let age_max = request.kept_for.unwrap_or_default();
        self.counted(self.kept.find(path, age_max).map_or(outcome, Ok))
    }

    fn counted(&self, outcome: Result<Answer, ClientError>) -> Result<Answer, ClientError> {
        let label = match &outcome {
            Ok(answer) if answer.is_kept => "kept",
            Ok(answer) if is_trouble(answer.status) => "trouble",
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

    async fn attempts(&self, request: &Request, deadline: Instant) -> Result<Answer, ClientError> {
        let name = || self.name.to_string();
        let invalid = |why: &String| ClientError::Invalid(name(), why.clone());
        let body = request.body.as_ref().map_err(invalid)?;
        let _room = self.room(deadline).await?;
        let looked = timeout_at(deadline, self.source.instances()).await;
        let instances = looked.map_err(|_| ClientError::NoInstance(name()))?;
        if instances.is_empty() {
            return Err(ClientError::NoInstance(name()));
        }
        self.budget.earn();
        let (mut attempt, mut failed, mut last) = (1, None, None);
        loop {
            let (came_to, url) = self
                .attempt(request, body, &instances, failed.as_deref(), deadline)
                .await;
            let (outcome, repeatable, pause) = match came_to {
                Attempt::Answered(answer) => return Ok(answer),
                // What an attempt has come to says more than why there is no other.
                Attempt::Refused(error) => return last.unwrap_or(Err(error)),
                Attempt::Troubled { answer, pause } => (Ok(answer), request.is_repeatable(), pause),
                Attempt::Unsent(error) => (Err(error), true, Duration::ZERO),
                Attempt::Sent(error) => (Err(error), request.is_repeatable(), Duration::ZERO),
            };
            let again = Instant::now() + pause.max(jittered(attempt));
            let may = repeatable && attempt < self.policy.attempts && again < deadline;
            if !may || !self.budget.take() {
                return outcome;
            }
            self.count("repeated");
            tracing::debug!(target = %self.name, attempt, "trying again");
            sleep_until(again).await;
            (attempt, failed, last) = (attempt + 1, url, Some(outcome));
        }
    }

    /// A place among those that ask. Who finds no place waits, within bounds.
    async fn room(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, ClientError> {
        if let Ok(room) = self.room.try_acquire() {
            return Ok(room);
        }
        let full = || ClientError::Full(self.name.to_string());
        let _place = Place::take(&self.waiting, self.policy.waiting).ok_or_else(full)?;
        match timeout_at(deadline, self.room.acquire()).await {
            Ok(Ok(room)) => Ok(room),
            // It is never closed; late is late.
            Ok(Err(_)) | Err(_) => Err(ClientError::NotSent(self.name.to_string())),
        }
    }

    /// One attempt, and at which instance.
    async fn attempt(
        &self,
        request: &Request,
        body: &Bytes,
        instances: &[Arc<Instance>],
        failed: Option<&str>,
        deadline: Instant,
    ) -> (Attempt, Option<String>) {
        let name = || self.name.to_string();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let Some(trip) = balance::choose(instances, turn, failed) else {
            return (Attempt::Refused(ClientError::Open(name())), None);
        };
        let url = trip.instance.url.clone();
        let wire = match self.wire(request, body, &url) {
            Ok(wire) => wire,
            Err(error) => return (Attempt::Refused(error), None),
        };
        // The time of one attempt leaves some for others, where there may be.
        let end = if request.is_repeatable() {
            deadline.min(Instant::now() + self.policy.attempt_timeout)
        } else {
            deadline
        };
        let exchange = self
            .common
            .transport
            .exchange(wire, self.policy.answer_bytes);
        let came_to = match timeout_at(end, exchange).await {
            Ok(Ok((head, body))) => {
                let answer = Answer {
                    status: head.status(),
                    headers: head.headers().clone(),
                    body,
                    is_kept: false,
                    target: Arc::clone(&self.name),
                };
                trip.ended(is_trouble(answer.status));
                if may_pass(answer.status) {
                    let pause = asked_pause(&answer.headers);
                    Attempt::Troubled { answer, pause }
                } else {
                    Attempt::Answered(answer)
                }
            }
            Ok(Err(failure)) => {
                trip.ended(true);
                let target = name();
                match failure {
                    Failure::Unsent(source) => {
                        Attempt::Unsent(ClientError::Connect { target, source })
                    }
                    Failure::Sent(source) => Attempt::Sent(ClientError::Broken { target, source }),
                }
            }
            Err(_) => {
                trip.ended(true);
                Attempt::Sent(ClientError::TimedOut(name()))
            }
        };
        (came_to, Some(url))
    }

    fn wire(
        &self,
        request: &Request,
        body: &Bytes,
        url: &str,
    ) -> Result<http::Request<Full<Bytes>>, ClientError> {
        let invalid = |why: String| ClientError::Invalid(self.name.to_string(), why);
        // Anything else could change the host.
        if !(request.path.is_empty() || request.path.starts_with('/')) {
            return Err(invalid("its path does not begin with a slash".to_owned()));
        }
        let uri: Uri = format!("{url}{}", request.path)
            .parse()
            .map_err(|error: http::uri::InvalidUri| invalid(error.to_string()))?;
        let mut headers = self.headers.clone();
        headers.extend(request.headers.clone());
        if let Some(context) = context::current() {
            context.write(&mut headers);
        }
        if let Some(token) = self
            .common
            .tokens
            .sign(&self.name, &request.method, uri.path())
        {
            let value = header::HeaderValue::try_from(token);
            headers.insert(
                SERVICE_TOKEN,
                value.map_err(|error| invalid(error.to_string()))?,
            );
        }
        let mut wire = http::Request::new(Full::new(body.clone()));
        *wire.method_mut() = request.method.clone();
        *wire.uri_mut() = uri;
        *wire.headers_mut() = headers;
        Ok(wire)
    }
}

/// A place in the queue, given back when it is dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, most: usize) -> Option<Self> {
        if waiting.fetch_add(1, Ordering::Relaxed) < most {
            return Some(Self(waiting));
        }
        waiting.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for Place<'_> {
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

fn asked_pause(headers: &HeaderMap) -> Duration {
    let seconds = headers
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    seconds
        .map_or(Duration::ZERO, Duration::from_secs)
        .min(PAUSE_MAX)
}

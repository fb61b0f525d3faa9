//! A client for other services that survives their failures, and repeats
//! nothing that may have had an effect.
//!
//! A request is tried again, on another instance if there is one, only where
//! nothing was sent, or where its method is idempotent (RFC 9110) or it
//! carries an idempotency key. How often is bounded by attempts, by the time
//! for the whole, and by a budget of repeats that requests earn: when all is
//! failing, trying again would only add to it.
//!
//! hyper-util's pooled client below, and not reqwest: it tells whether a
//! request has left, which the rule above stands on, and it is in the tree.

mod balance;
mod breaker;
mod budget;
mod builder;
mod exchange;
mod kept;
mod target;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use prometheus_client::encoding::EncodeLabelSet;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use balance::Instance;
pub use builder::ClientBuilder;
pub use exchange::Broken;
pub(crate) use exchange::Transport;
use target::Target;
pub(crate) use target::{Common, Instances, Source, jittered};

use crate::problem::Problem;

/// Names the effect of a request, so that it can be repeated: the other side
/// does it once and answers the same.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Bounds on what asking another service may cost.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// For everything: waiting for room, all attempts, the answer's body.
    pub timeout: Duration,
    /// For one attempt, where there may be another.
    pub attempt_timeout: Duration,
    /// How often at most it is sent.
    pub attempts: u32,
    /// Requests at once, over all instances.
    pub concurrency: usize,
    /// Requests that may wait for room; more are refused at once.
    pub waiting: usize,
    /// The largest body of an answer.
    pub answer_bytes: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(2),
            attempts: 3,
            concurrency: 64,
            waiting: 64,
            answer_bytes: 4 << 20,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The request cannot be put together.
    #[error("the request to {0} is not valid: {1}")]
    Invalid(String, String),
    /// At the bound of those that wait.
    #[error("too many requests to {0} wait already; this one was not sent")]
    Full(String),
    /// No instance is known.
    #[error("no instance of {0} is known; check REGISTRY_URL and that it runs")]
    NoInstance(String),
    /// All instances have failed too often just now.
    #[error("{0} has failed too often just now and is left alone for a moment")]
    Open(String),
    /// The time was up before it was sent.
    #[error("there was no room for a request to {0} in time; it was not sent")]
    NotSent(String),
    /// No connection.
    #[error("cannot connect to {target}")]
    Connect {
        /// Whom.
        target: String,
        /// Why.
        source: Broken,
    },
    /// It was sent, and may or may not have been done.
    #[error("{0} did not answer in time; the request may or may not have been done")]
    TimedOut(String),
    /// It was sent, and may or may not have been done.
    #[error("the answer of {target} broke off; the request may or may not have been done")]
    Broken {
        /// Whose.
        target: String,
        /// Why.
        source: Broken,
    },
    /// The answer says that it failed.
    #[error("{target} answered {status}")]
    Status {
        /// Who.
        target: String,
        /// What.
        status: StatusCode,
    },
    /// The answer is not what it should be.
    #[error("the answer of {0} is not as described: {1}")]
    Content(String, String),
}

impl ClientError {
    /// Whether the other side may have done what it was asked.
    pub fn may_have_had_effect(&self) -> bool {
        match self {
            Self::Invalid(..)
            | Self::Full(_)
            | Self::NoInstance(_)
            | Self::Open(_)
            | Self::NotSent(_)
            | Self::Connect { .. } => false,
            Self::TimedOut(_) | Self::Broken { .. } | Self::Status { .. } | Self::Content(..) => {
                true
            }
        }
    }
}

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "another service failed"
        );
        Self::unavailable("Another service that the request needs is away.")
    }
}

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Whether it is an earlier one, kept for when nobody answers.
    pub is_kept: bool,
    target: Arc<str>,
}

impl Answer {
    /// Itself, if its status is 2xx.
    pub fn successful(self) -> Result<Self, ClientError> {
        if self.status.is_success() {
            return Ok(self);
        }
        Err(ClientError::Status {
            target: self.target.to_string(),
            status: self.status,
        })
    }

    /// Its body, which is JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| ClientError::Content(self.target.to_string(), error.to_string()))
    }
}

/// A way to another service. Cheap to clone; clones share pool, breakers and
/// budget.
#[derive(Debug, Clone)]
pub struct Client(Arc<Target>);

impl Client {
    fn new(target: Target) -> Self {
        Self(Arc::new(target))
    }

    /// A request by any method, to a path that begins with a slash.
    pub fn request(&self, method: Method, path: impl Into<String>) -> Request {
        Request {
            target: Arc::clone(&self.0),
            method,
            path: path.into(),
            headers: HeaderMap::new(),
            body: Ok(Bytes::new()),
            kept_for: None,
        }
    }

    /// Reads.
    pub fn get(&self, path: impl Into<String>) -> Request {
        self.request(Method::GET, path)
    }

    /// Creates or does something.
    pub fn post(&self, path: impl Into<String>) -> Request {
        self.request(Method::POST, path)
    }

    /// Puts something into a state.
    pub fn put(&self, path: impl Into<String>) -> Request {
        self.request(Method::PUT, path)
    }

    /// Removes.
    pub fn delete(&self, path: impl Into<String>) -> Request {
        self.request(Method::DELETE, path)
    }
}

/// A request to be sent.
#[derive(Debug)]
#[must_use = "nothing is sent before `send`"]
pub struct Request {
    target: Arc<Target>,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Result<Bytes, String>,
    kept_for: Option<Duration>,
}

impl Request {
    /// Adds a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Calls on behalf of a user, by the token that they showed.
    pub fn on_behalf_of(self, authorization: HeaderValue) -> Self {
        self.header(header::AUTHORIZATION, authorization)
    }

    /// Adds a body.
    pub fn json(mut self, content: &impl Serialize) -> Self {
        self.body = serde_json::to_vec(content)
            .map(Bytes::from)
            .map_err(|error| error.to_string());
        self.header(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )
    }

    /// Names its effect: with it, it may be repeated. The other side must
    /// know such keys.
    pub fn idempotency_key(mut self, key: &str) -> Self {
        match HeaderValue::from_str(key) {
            Ok(value) => self.header(IDEMPOTENCY_KEY, value),
            Err(error) => {
                self.body = Err(format!("the idempotency key is no header: {error}"));
                self
            }
        }
    }

    /// When nobody answers, the last good answer to the same GET will do, if
    /// it is no older than this. Only for a GET without headers of its own,
    /// such as a user's token: with them the answer could be another one.
    pub fn or_kept(mut self, age_max: Duration) -> Self {
        self.kept_for = Some(age_max);
        self
    }

    /// Sends it. An answer of any status is an answer. Cancel safe in that
    /// nothing is sent afterwards.
    pub async fn send(self) -> Result<Answer, ClientError> {
        let target = Arc::clone(&self.target);
        target.send(self).await
    }

    /// Whether it may be sent again although it was sent.
    fn is_repeatable(&self) -> bool {
        let idempotent = [
            Method::GET,
            Method::HEAD,
            Method::OPTIONS,
            Method::PUT,
            Method::DELETE,
        ];
        idempotent.contains(&self.method) || self.headers.contains_key(IDEMPOTENCY_KEY)
    }

    /// Under what its answer is kept; `None` where it is not.
    fn kept_under(&self) -> Option<&str> {
        let anybodys = self.headers.is_empty();
        let kept = self.kept_for.is_some() && self.method == Method::GET && anybodys;
        kept.then_some(self.path.as_str())
    }
}

/// What is counted of a request: its label is one of these.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OutcomeLabels {
    pub(crate) target: String,
    pub(crate) outcome: &'static str,
}

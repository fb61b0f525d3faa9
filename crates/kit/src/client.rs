//! A client for other services that survives their failures, and repeats
//! nothing that may have had an effect.
//!
//! ```text
//!   client (Client, Request) ── builder ── discovery
//!     └▶ target      permit, instance, attempts of one service
//!          ├▶ instance        breaker and load of each (crate `resilience`)
//!          ├▶ response_cache  stale responses for when it fails
//!          └▶ transport       one exchange, pooled connections
//!               message, error, policy: what all of them speak of
//! ```
//!
//! A request is tried again, on another instance if there is one, only where
//! nothing was sent, or where its method is idempotent (RFC 9110) or it
//! carries an idempotency key. How often is bounded by attempts, by the time
//! for the whole, and by a budget of repeats that requests earn: when all is
//! failing, trying again would only add to it.
//!
//! hyper-util's pooled client below, and not reqwest: it tells whether a
//! request has left, which the rule above stands on, and it is in the tree.

mod builder;
mod discovery;
mod error;
mod instance;
mod message;
mod policy;
mod response_cache;
mod target;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, header};
use serde::Serialize;

pub use builder::ClientBuilder;
pub(crate) use discovery::{SERVICES as REGISTRY_SERVICES, pause as registry_pause};
pub use error::ClientError;
use message::Message;
pub use message::{IDEMPOTENCY_KEY, Response};
pub use policy::Policy;
use target::Target;
pub(crate) use target::{Common, jittered};
pub(crate) use transport::Transport;
pub use transport::TransportError;

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
            message: Message::new(method, path.into()),
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
    message: Message,
}

impl Request {
    /// Adds a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.message.headers.insert(name, value);
        self
    }

    /// Calls on behalf of a user, by the token that they presented.
    pub fn on_behalf_of(self, authorization: HeaderValue) -> Self {
        self.header(header::AUTHORIZATION, authorization)
    }

    /// Adds a body.
    pub fn json(mut self, content: &impl Serialize) -> Self {
        self.message.body = serde_json::to_vec(content)
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
                self.message.body = Err(format!("the idempotency key is no header: {error}"));
                self
            }
        }
    }

    /// When the service fails, the last good response to the same GET will do,
    /// if it is no older than this. Only for a GET without headers of its own,
    /// such as a user's token: with them the response could be another one.
    pub fn or_stale(mut self, age_max: Duration) -> Self {
        self.message.stale_max = Some(age_max);
        self
    }

    /// Sends it. A response of any status is one. Cancel safe in that nothing
    /// is sent afterwards.
    pub async fn send(self) -> Result<Response, ClientError> {
        self.target.send(&self.message).await
    }
}

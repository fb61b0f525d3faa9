//! Puts a client together.

use http::{HeaderMap, HeaderValue};

use super::Client;
use super::discovery;
use super::error::ClientError;
use super::policy::Policy;
use super::target::{Common, Source, Target};
use crate::auth::API_KEY;
use crate::settings::{Origin, Secret};

/// A client to be: its instances are looked for in the registry, unless
/// [`ClientBuilder::at`] says where it is.
#[derive(Debug)]
pub struct ClientBuilder {
    name: String,
    url: Option<Origin>,
    headers: HeaderMap,
    policy: Policy,
    registry: Option<Client>,
    common: Common,
}

impl ClientBuilder {
    pub(crate) fn new(name: &str, registry: Option<Client>, common: Common) -> Self {
        Self {
            name: name.to_owned(),
            url: None,
            headers: HeaderMap::new(),
            policy: Policy::default(),
            registry,
            common,
        }
    }

    /// Where it is, if a setting says so.
    #[must_use]
    pub fn at(mut self, url: Option<&Origin>) -> Self {
        self.url = url.cloned();
        self
    }

    /// A key that it wants in `X-API-Key`.
    #[must_use]
    pub fn key(mut self, key: &Secret) -> Self {
        // A key that is not a valid header value cannot be one of the service.
        if let Ok(mut value) = HeaderValue::from_str(key.expose()) {
            value.set_sensitive(true);
            self.headers.insert(API_KEY, value);
        }
        self
    }

    /// Other bounds than the usual ones.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The client. Without an address it starts to look for instances, and so
    /// needs the runtime; it fails where there is no registry either.
    pub fn build(self) -> Result<Client, ClientError> {
        let source = match (self.url, self.registry) {
            (Some(url), _) => Source::fixed(url.as_str()),
            (None, Some(registry)) => discovery::discover(registry, self.name.clone()),
            (None, None) => return Err(ClientError::NoInstance(self.name)),
        };
        let target = Target::new(&self.name, self.policy, source, self.headers, self.common);
        Ok(Client::new(target))
    }
}

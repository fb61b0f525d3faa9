//! What the author of a service puts together.

use std::fmt;
use std::time::Duration;

use axum::Router;
use futures_util::future::{BoxFuture, FutureExt};
use prometheus_client::metrics::family::Family;
use tokio_util::sync::CancellationToken;
use utoipa::openapi::OpenApi;

use crate::auth::PeerTokens;
use crate::client::{Client, ClientBuilder, Common, Transport};
use crate::database::Database;
use crate::health::{Check, Need};
use crate::metrics::Metrics;
use crate::openapi::OpenApiRouter;
use crate::settings::{self, Identity, Origin, Secret, Secrets};

/// Whatever can go wrong at start, for the log.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Bounds on what requests may cost. At each of them stands a problem.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The largest body; 413 beyond it.
    pub body_bytes: usize,
    /// How long a request may take up to the head of its answer; 503 beyond
    /// it, and what it did stays done.
    pub request_timeout: Duration,
    /// Requests at once; 503 with `Retry-After` beyond it.
    pub concurrency: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1 << 20,
            request_timeout: Duration::from_secs(30),
            // A few times what a pool of ten connections can work on: what
            // waits longer is better told to come again.
            concurrency: 256,
        }
    }
}

/// Told once the service is to stop.
#[derive(Debug, Clone, Default)]
pub struct Stopping(CancellationToken);

impl Stopping {
    /// Waits until the service is to stop. Cancel safe.
    pub async fn told(&self) {
        self.0.cancelled().await;
    }

    /// Whether it is.
    pub fn is_told(&self) -> bool {
        self.0.is_cancelled()
    }

    pub(crate) fn tell(&self) {
        self.0.cancel();
    }
}

/// What the kit gives for putting a service together.
#[derive(Debug, Clone)]
pub struct Kit {
    /// Who the service is.
    pub identity: Identity,
    /// What every service reads.
    pub settings: settings::Server,
    /// For metrics of its own.
    pub metrics: Metrics,
    /// For work in the background and answers without end.
    pub stopping: Stopping,
    clients: Common,
}

impl Kit {
    /// For a service started by hand, as tests do.
    pub fn new(identity: Identity, settings: settings::Server) -> Self {
        let metrics = Metrics::new(&identity);
        let outcomes = Family::default();
        let help = "What came of requests to other services";
        metrics.register("client_requests", help, outcomes.clone());
        Self {
            identity,
            metrics,
            stopping: Stopping::default(),
            clients: Common {
                transport: Transport::new(),
                tokens: PeerTokens::new(identity.name, settings.service_secrets.clone()),
                outcomes,
            },
            settings,
        }
    }

    /// A client for another service, by the name that it has in the registry
    /// and in tokens.
    pub fn client(&self, name: &str) -> ClientBuilder {
        ClientBuilder::new(name, self.registry(), self.clients.clone())
    }

    /// A client for the registry, if there is one.
    pub(crate) fn registry(&self) -> Option<Client> {
        let settings = &self.settings;
        let key = settings.registry_key.as_ref().and_then(Secrets::first);
        self.told_of("registry", settings.registry_url.as_ref()?, key)
    }

    /// A client for analytics, if there is one. It does not report to itself.
    pub(crate) fn analytics(&self) -> Option<Client> {
        let settings = &self.settings;
        if self.identity.name == "analytics" {
            return None;
        }
        let key = settings.analytics_key.as_ref().and_then(Secrets::first);
        self.told_of("analytics", settings.analytics_url.as_ref()?, key)
    }

    /// A client for a service whose address is a setting.
    fn told_of(&self, name: &str, url: &Origin, key: Option<&Secret>) -> Option<Client> {
        let client = ClientBuilder::new(name, None, self.clients.clone()).at(Some(url));
        let client = match key {
            Some(key) => client.key(key),
            None => client,
        };
        // With an address it does not fail.
        client.build().ok()
    }
}

pub(crate) type Work = BoxFuture<'static, Result<(), Fault>>;

/// A service, ready to be served.
#[derive(Default)]
pub struct Service {
    pub(crate) router: Router,
    pub(crate) api: Option<OpenApi>,
    pub(crate) limits: Limits,
    pub(crate) checks: Vec<Check>,
    pub(crate) background: Vec<(&'static str, Work)>,
    pub(crate) at_stop: Vec<BoxFuture<'static, ()>>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("limits", &self.limits)
            .field("checks", &self.checks)
            .finish_non_exhaustive()
    }
}

impl Service {
    /// A service that answers by these routes, and beside them `/health`,
    /// `/health/live`, `/health/ready` and `/metrics`, which the routes must
    /// leave free.
    pub fn new(router: Router) -> Self {
        Self {
            router,
            ..Self::default()
        }
    }

    /// The same from routes that are documented, served at `/openapi.json`.
    pub fn documented(described: OpenApiRouter) -> Self {
        let (router, api) = described.split_for_parts();
        Self {
            api: Some(api),
            ..Self::new(router)
        }
    }

    /// Other bounds than the usual ones.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// A dependency that readiness asks: at most twice a second, and within a
    /// second. Its error goes to the log.
    #[must_use]
    pub fn check<F, A, E>(mut self, name: &'static str, need: Need, ask: A) -> Self
    where
        A: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        self.checks.push(Check::new(name, need, ask));
        self
    }

    /// The database that it cannot do without: asked by readiness, closed at the
    /// end.
    #[must_use]
    pub fn database(self, database: &Database) -> Self {
        let (asked, closed) = (database.clone(), database.clone());
        self.check("database", Need::Required, move || {
            let database = asked.clone();
            async move {
                let is_ready = database.is_ready().await;
                is_ready.then_some(()).ok_or("it does not answer")
            }
        })
        .at_stop(async move { closed.close().await })
    }

    /// Work that goes on until [`Stopping`] is told. The service ends with a
    /// failure when it ends sooner: whoever watches over it starts it again.
    #[must_use]
    pub fn background<F, E>(mut self, name: &'static str, work: F) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Fault>,
    {
        let work = async move { work.await.map_err(Into::into) };
        self.background.push((name, work.boxed()));
        self
    }

    /// Work to do last, once no request is under way: closing a pool.
    #[must_use]
    pub fn at_stop(mut self, work: impl Future<Output = ()> + Send + 'static) -> Self {
        self.at_stop.push(work.boxed());
        self
    }
}

//! Serves a service: connections with bounds, and an orderly end.

mod issuer_keys;
mod listener;
mod middleware;
mod state;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::{StatusCode, header};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

use crate::Service;
use crate::auth::{Authenticator, UserTokens};
use crate::extract::Json;
use crate::health::Health;
use crate::openapi;
use crate::problem::Problem;
use crate::registry::{Registrar, Registration};
use crate::reports;
use crate::service::{Fault, Kit, Stopping, Work};
use crate::settings::Address;
use crate::spans;
use listener::{Listener, Stream};
use state::ServerState;

/// Connections at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 4096;

/// For the head of a request, and for a connection without one. Longer than
/// the gateway and the kit's client keep connections that are idle (4 s): it
/// must be them who give one up, or a request could meet the closing.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);

/// For a reader that takes nothing of its answer. A large answer may take
/// longer, as long as some of it is taken.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Fields and bytes of a head; hyper answers 431 beyond them.
const HEAD_FIELDS_MAX: usize = 100;
const HEAD_BYTES_MAX: usize = 64 << 10;

/// How long requests under way may take once the service was told to stop,
/// and then what works in the background, and then what is done last.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// Why a service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be had.
    #[error("cannot listen on {address}; set SERVICE_HOST and SERVICE_PORT to one that is free")]
    Listen {
        /// The address.
        address: Address,
        /// Why.
        source: std::io::Error,
    },
    /// Traces cannot be sent there.
    #[error("cannot send traces; check OTEL_EXPORTER_OTLP_ENDPOINT")]
    Traces(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The handlers' documentation cannot be written.
    #[error("the interface's description cannot be written")]
    Description(#[from] serde_json::Error),
    /// The address that would be registered cannot be reached from outside.
    #[error("others cannot reach {0}: set SERVICE_URL, which the registry is told")]
    NoUrl(Address),
}

/// A service that serves.
#[derive(Debug)]
pub struct Running {
    address: Address,
    state: Arc<ServerState>,
    stopping: Stopping,
    stop_delay: Duration,
    /// No more connections; those that are there finish.
    drain: CancellationToken,
    /// Those that are still there are cut off.
    cut: CancellationToken,
    /// There are no more requests of which there could be spans or reports.
    answered: CancellationToken,
    connections: TaskTracker,
    background: TaskTracker,
    failures: mpsc::Receiver<Fault>,
    at_stop: AtStop,
}

struct AtStop(Vec<futures_util::future::BoxFuture<'static, ()>>);

impl std::fmt::Debug for AtStop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at stop", self.0.len())
    }
}

/// Starts to serve. It goes on until [`Running::stop`].
pub async fn start(kit: Kit, service: Service) -> Result<Running, StartError> {
    let listener = Listener::bind(&kit.settings.address).await;
    let listener = listener.map_err(|source| StartError::Listen {
        address: kit.settings.address.clone(),
        source,
    })?;
    let address = listener.address().clone();
    let registrar = registrar(&kit, &address)?;
    let endpoint = kit.settings.otlp_endpoint.as_ref();
    let traces = endpoint.map(|url| spans::channel(kit.identity, url, &kit.metrics));
    let (spans, sending) = traces.transpose()?.unzip();
    let (reports, reporting) = reports::channel(&kit, &address).unzip();
    let users = Arc::new(UserTokens::new(&kit.settings));
    let state = Arc::new(ServerState {
        authenticator: Arc::new(Authenticator::new(
            kit.identity,
            &kit.settings,
            Arc::clone(&users),
        )),
        metrics: kit.metrics.clone(),
        health: Health::new(kit.identity, service.checks),
        limits: service.limits,
        permits: Semaphore::new(service.limits.concurrency),
        spans,
        reports,
    });
    let api = service.api.as_ref();
    let api = api.map(|api| openapi::document(kit.identity, api));
    let router = router(service.router, api.transpose()?, &state);
    let (drain, cut) = (CancellationToken::new(), CancellationToken::new());
    let connections = TaskTracker::new();
    let accept_loop = AcceptLoop {
        listener,
        router,
        drain: drain.clone(),
        cut: cut.clone(),
        connections: connections.clone(),
    };
    connections.spawn(accept_loop.run());
    let background = TaskTracker::new();
    let answered = CancellationToken::new();
    if let Some(sending) = sending {
        background.spawn(sending.run(answered.clone()));
    }
    if let Some(reporting) = reporting {
        background.spawn(reporting.run(answered.clone()));
    }
    refresh_keys(&kit, users, &background);
    if let Some(registrar) = registrar {
        background.spawn(registrar.run(kit.stopping.clone()));
    }
    let failures = work(service.background, &kit.stopping, &background);
    info!(%address, service = kit.identity.name, version = kit.identity.version, "serving");
    Ok(Running {
        address,
        state,
        stopping: kit.stopping,
        stop_delay: kit.settings.stop_delay.get(),
        drain,
        cut,
        answered,
        connections,
        background,
        failures,
        at_stop: AtStop(service.at_stop),
    })
}

/// Starts what works in the background; the first failure can be received.
fn work(
    all: Vec<(&'static str, Work)>,
    stopping: &Stopping,
    background: &TaskTracker,
) -> mpsc::Receiver<Fault> {
    let (failed, failures) = mpsc::channel(1);
    for (name, work) in all {
        let (failed, stopping) = (failed.clone(), stopping.clone());
        background.spawn(async move {
            let fault = match work.await {
                Ok(()) if stopping.is_told() => return,
                Ok(()) => format!("{name} ended").into(),
                Err(fault) => fault,
            };
            error!(work = name, error = fault, "work in the background failed");
            // One is enough to stop.
            let _ = failed.try_send(fault);
        });
    }
    failures
}

/// What keeps this instance in the registry, if there is a registry.
fn registrar(kit: &Kit, address: &Address) -> Result<Option<Registrar>, StartError> {
    let Some(registry) = kit.registry() else {
        return Ok(None);
    };
    let url = match (&kit.settings.public_url, address) {
        (Some(url), _) => url.as_str().to_owned(),
        (None, Address::Tcp { host, .. }) if host != "0.0.0.0" && host != "::" => {
            format!("http://{address}")
        }
        (None, _) => return Err(StartError::NoUrl(address.clone())),
    };
    let registration = Registration::new(kit.identity, url, kit.settings.tags.clone());
    Ok(Some(Registrar {
        registry,
        registration,
    }))
}

/// Refreshes the keys of the issuer of users' tokens, if it publishes some.
fn refresh_keys(kit: &Kit, users: Arc<UserTokens>, background: &TaskTracker) {
    let Some(url) = &kit.settings.jwks_url else {
        return;
    };
    // With an address it does not fail.
    if let Ok(issuer) = kit.client("issuer").at(Some(url)).build() {
        let stopping = kit.stopping.clone();
        background.spawn(async move {
            tokio::select! {
                () = issuer_keys::refresh(users, issuer) => {}
                () = stopping.told() => {}
            }
        });
    }
}

impl Running {
    /// Where it listens; the port is the real one.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Waits until work in the background has failed. Cancel safe.
    pub async fn failed(&mut self) -> Fault {
        match self.failures.recv().await {
            Some(fault) => fault,
            // Nothing works in the background.
            None => std::future::pending().await,
        }
    }

    /// Stops in order: not ready, no more connections, requests under way
    /// answered, background ended, the last things done; each within a bound.
    pub async fn stop(self) {
        info!("stopping");
        self.state.health.stop();
        tokio::time::sleep(self.stop_delay).await;
        self.stopping.tell();
        self.drain.cancel();
        self.connections.close();
        if timeout(STOP_TIMEOUT, self.connections.wait())
            .await
            .is_err()
        {
            warn!("requests were still under way and are cut off");
            self.cut.cancel();
        }
        self.answered.cancel();
        self.background.close();
        if timeout(STOP_TIMEOUT, self.background.wait()).await.is_err() {
            warn!("work in the background did not end and is cut off");
        }
        for work in self.at_stop.0 {
            if timeout(STOP_TIMEOUT, work).await.is_err() {
                warn!("what is done last did not end and is left");
            }
        }
        info!("stopped");
    }
}

fn router(service: Router, api: Option<String>, state: &Arc<ServerState>) -> Router {
    let mut own = Router::new()
        .route("/health", get(ready))
        .route("/health/ready", get(ready))
        .route("/health/live", get(live))
        .route("/metrics", get(metrics))
        .with_state(Arc::clone(state));
    if let Some(document) = api.map(Bytes::from) {
        let json = [(header::CONTENT_TYPE, "application/json")];
        own = own.route(
            "/openapi.json",
            get(move || std::future::ready((json, document))),
        );
    }
    let limited = axum::middleware::from_fn_with_state(Arc::clone(state), middleware::limited);
    let observed = axum::middleware::from_fn_with_state(Arc::clone(state), middleware::observed);
    // Health and metrics must answer also where there is no room for more.
    service.layer(limited).merge(own).layer(observed)
}

async fn live() -> Json<serde_json::Value> {
    Json(serde_json::json!({ "status": "alive" }))
}

async fn ready(State(state): State<Arc<ServerState>>) -> Response {
    let report = state.health.report().await;
    let status = if report.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(report)).into_response()
}

async fn metrics(State(state): State<Arc<ServerState>>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match state.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => {
            error!(%error, "metrics cannot be written");
            Problem::internal().into_response()
        }
    }
}

struct AcceptLoop {
    listener: Listener,
    router: Router,
    drain: CancellationToken,
    cut: CancellationToken,
    connections: TaskTracker,
}

impl AcceptLoop {
    async fn run(self) {
        let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let next = async {
                // The semaphore is never closed.
                let permit = Arc::clone(&permits).acquire_owned().await.ok();
                (permit, self.listener.accept().await)
            };
            let (permit, stream) = tokio::select! {
                next = next => next,
                () = self.drain.cancelled() => return,
            };
            let (router, drain, cut) = (self.router.clone(), self.drain.clone(), self.cut.clone());
            self.connections.spawn(async move {
                match stream {
                    Stream::Tcp(stream) => converse(stream, router, drain, cut).await,
                    Stream::Unix(stream) => converse(stream, router, drain, cut).await,
                }
                drop(permit);
            });
        }
    }
}

async fn converse<S>(stream: S, router: Router, drain: CancellationToken, cut: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let mut stream = Box::pin(TimeoutStream::new(stream));
    stream
        .as_mut()
        .set_write_timeout_pinned(Some(WRITE_TIMEOUT));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEAD_FIELDS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = drain.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = cut.cancelled() => return,
            }
        }
    };
    if let Err(error) = ended {
        // The client went away, or sent what is no request.
        debug!(%error, "a connection ended early");
    }
}

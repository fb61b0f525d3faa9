//! `banyan serve`: gateway, movers and conductor in one process.

mod data;
mod gateways;
mod metrics;
mod positions;

use crate::{
    control::{self, Control},
    exit::Failure,
};
use conductor::{Conductor, api, ports};
use data::DataMover;
use gateway::Gateway;
use gateways::LocalGateway;
use plan::{ExtractionName, Plan};
use std::{
    collections::BTreeMap, fmt::Write as _, io::Write, net::SocketAddr, path::Path, sync::Arc,
    time::Duration,
};
use tokio::{net::TcpListener, signal::unix::SignalKind};

/// How long requests under way may take to end when the process stops.
const GRACE: Duration = Duration::from_secs(10);

/// Bytes of the API's token.
const TOKEN_BYTES: usize = 32;

/// Runs until it is told to stop.
pub(crate) async fn run(plan: &Plan, state: &Path) -> Result<(), Failure> {
    let api_listener = listen(plan.control).await?;
    let movers: BTreeMap<ExtractionName, Arc<DataMover>> = plan
        .extractions
        .values()
        .map(|extraction| {
            (
                extraction.name.clone(),
                Arc::new(DataMover::new(plan, extraction)),
            )
        })
        .collect();
    let positions = Arc::new(positions::Positions::new(&movers));
    let gateway = Gateway::start(plan, positions).map_err(Failure::refused)?;
    let local = Arc::new(LocalGateway::new(gateway.clone()));
    let ports = movers
        .iter()
        .map(|(name, mover)| (name.clone(), Arc::clone(mover) as Arc<dyn ports::Mover>));
    let conductor = Conductor::start(plan, state, ports.collect(), local.clone())
        .await
        .map_err(Failure::refused)?;
    let ended = serve(
        plan,
        state,
        api_listener,
        &gateway,
        local,
        &movers,
        conductor,
    )
    .await;
    control::remove(state);
    ended
}

async fn serve(
    plan: &Plan,
    state: &Path,
    api_listener: TcpListener,
    gateway: &Gateway,
    local: Arc<LocalGateway>,
    movers: &BTreeMap<ExtractionName, Arc<DataMover>>,
    mut conductor: Conductor,
) -> Result<(), Failure> {
    let address = api_listener.local_addr().map_err(Failure::refused)?;
    let token = token().map_err(Failure::refused)?;
    let control = Control {
        address: address.to_string(),
        token: token.clone(),
    };
    control::write(state, &control).map_err(|error| {
        Failure::Refused(format!("{} cannot be written: {error}", state.display()))
    })?;
    let router = api::router(api::Control {
        workers: conductor.workers().clone(),
        token: token.into(),
        metrics: metrics::texts(gateway, movers),
        routes: local,
    });
    let api = axum_serve(api_listener, router);
    announce(plan, gateway.local_addr(), address)?;
    let ended = tokio::select! {
        () = stop_signal() => Ok(()),
        () = conductor.failed() => {
            Err(Failure::NotDone("the conductor cannot go on; see the log".to_owned()))
        }
        () = api => Err(Failure::NotDone("the control API ended".to_owned())),
    };
    // The gateway first: it must not route on a lease that nobody renews.
    gateway.shutdown(GRACE).await;
    conductor.stop().await;
    ended
}

/// The line that says it is ready, for people and for scripts.
fn announce(plan: &Plan, gateway: SocketAddr, control: SocketAddr) -> Result<(), Failure> {
    tracing::info!(%gateway, %control, extractions = plan.extractions.len(), "ready");
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "ready gateway=http://{gateway} control=http://{control}"
    )
    .and_then(|()| out.flush())
    .map_err(Failure::not_done)
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let remedy = match error.kind() {
            std::io::ErrorKind::AddrInUse => "Another program has it; change `control.listen`",
            _ => "Change `control.listen` in the plan",
        };
        Failure::Refused(format!(
            "the control API cannot listen on {address}: {error}. {remedy}"
        ))
    })
}

async fn axum_serve(listener: TcpListener, router: conductor::api::ApiRouter) {
    if let Err(error) = conductor::api::serve(listener, router).await {
        tracing::error!(%error, "the control API failed");
    }
}

async fn stop_signal() {
    let mut terminate = match tokio::signal::unix::signal(SignalKind::terminate()) {
        Ok(signal) => signal,
        Err(error) => {
            tracing::warn!(%error, "TERM cannot be listened for");
            return std::future::pending().await;
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Random, from the operating system, in hexadecimal.
fn token() -> std::io::Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    conductor::api::random(&mut bytes)?;
    let mut token = String::with_capacity(2 * TOKEN_BYTES);
    for byte in bytes {
        let _ = write!(token, "{byte:02x}");
    }
    Ok(token)
}

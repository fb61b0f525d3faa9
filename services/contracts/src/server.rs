//! Opens the port and serves until told to stop.

use std::future::IntoFuture;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::api::{self, App};
use crate::directory::Directory;
use crate::settings::Settings;
use crate::store::{self, Store};

/// How long requests under way may take once the service was told to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// Migrates, then serves until SIGTERM or SIGINT.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    let mut stopped = stop_signal()?;
    store::migrate(&settings.database).await?;
    let store = Store::new(&settings.database);
    let directory = Arc::new(Directory::new(settings.monolith_url));
    let router = api::router(App {
        store: store.clone(),
        directory,
    });

    let address = (settings.host, settings.port);
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!(
            "cannot listen on {}:{}; set SERVICE_HOST, SERVICE_PORT",
            address.0, address.1
        )
    })?;
    let bound = listener.local_addr()?;
    let listener = listener.tap_io(|connection| {
        // Answers are small; without this some would wait 40 ms. If it cannot
        // be set, they do.
        let _ = connection.set_nodelay(true);
    });
    let mut told = stopped.clone();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        // An error means that nobody can tell any more, which is the same.
        let _ = told.wait_for(|stop| *stop).await;
    });
    info!(address = %bound, "contracts service is ready");

    let mut server = pin!(server.into_future());
    tokio::select! {
        ended = &mut server => ended?,
        _ = stopped.wait_for(|stop| *stop) => {
            info!("stopping");
            if let Ok(ended) = tokio::time::timeout(STOP_TIMEOUT, server).await {
                ended?;
            } else {
                warn!("requests were still under way and are cut off");
            }
        }
    }
    if tokio::time::timeout(STOP_TIMEOUT, store.close())
        .await
        .is_err()
    {
        warn!("database connections were still in use and are cut off");
    }
    Ok(())
}

/// Turns true once the process was told to stop.
fn stop_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        sender.send_replace(true);
    });
    Ok(receiver)
}

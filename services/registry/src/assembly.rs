//! Puts the service together.

use std::time::Duration;

use kit::database::{Database, Notices, migrate};
use kit::{Identity, Kit, Limits, Need, Service, Stopping};
use prometheus_client::metrics::gauge::Gauge;
use tracing::{info, warn};

use crate::api::{self, App};
use crate::gauges::Gauges;
use crate::hub::Hub;
use crate::settings::{MigrationSettings, Settings};
use crate::store::{CHANNEL, SCHEMA, instances};
use crate::work::Worker;

/// Registrations are a few fields.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// How often it is looked for instances that have expired.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(1);
/// How often old rows are looked for, and how many are deleted at once.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);
const SWEEP_LIMIT: i64 = 10_000;

/// Who this service is.
pub const IDENTITY: Identity = Identity::new("registry", env!("CARGO_PKG_VERSION"), 8004);

/// For `registry migrate`.
pub async fn migrate_only(settings: MigrationSettings) -> anyhow::Result<()> {
    let settings = settings.settings(SCHEMA, IDENTITY.name);
    Ok(migrate(&settings, sqlx::migrate!()).await?)
}

/// For `registry`.
pub async fn assemble(kit: Kit, settings: Settings) -> anyhow::Result<Service> {
    let database_settings = settings.database.clone().settings(SCHEMA, IDENTITY.name);
    migrate(&database_settings, sqlx::migrate!()).await?;
    let database = Database::new(&database_settings);
    let watchers = Gauge::default();
    let help = "Who is told of changes at the moment";
    kit.metrics
        .register("registry_watchers", help, watchers.clone());
    let hub = Hub::new(watchers);
    let gauges = Gauges::register(&kit.metrics);
    let notices = Notices::listen(&database, CHANNEL);
    let worker = Worker::new(database.clone(), &settings, &kit.metrics);
    let app = App {
        database: database.clone(),
        hub: hub.clone(),
        destinations: settings.destinations,
        stopping: kit.stopping.clone(),
    };
    let stopping = || kit.stopping.clone();
    let (ready, closed) = (database.clone(), database.clone());
    Ok(Service::documented(api::router(app))
        .limits(Limits {
            body_bytes: MAX_BODY_BYTES,
            ..Limits::default()
        })
        .check("database", Need::Required, move || {
            let database = ready.clone();
            async move {
                if database.is_ready().await {
                    Ok(())
                } else {
                    Err("it does not answer")
                }
            }
        })
        .background(
            "changes",
            hub.keep(database.clone(), notices.clone(), stopping()),
        )
        .background("work", worker.run(notices, stopping()))
        .background("expiry", expire(database.clone(), stopping()))
        .background("sweep", sweep(database.clone(), stopping()))
        .background("counting", gauges.keep(database, stopping()))
        .at_stop(async move { closed.close().await }))
}

/// Forgets instances that are no longer heard.
async fn expire(database: Database, stopping: Stopping) -> anyhow::Result<()> {
    let mut is_away = false;
    loop {
        match instances::expire(&database).await {
            Ok(expired) => {
                is_away = false;
                if expired > 0 {
                    info!(expired, "instances were not heard any more");
                }
            }
            Err(error) if !is_away => {
                warn!(%error, "nobody can be heard; nobody is forgotten");
                is_away = true;
            }
            Err(_) => {}
        }
        tokio::select! {
            () = stopping.told() => return Ok(()),
            () = tokio::time::sleep(EXPIRY_INTERVAL) => {}
        }
    }
}

/// Deletes what is too old, from time to time.
async fn sweep(database: Database, stopping: Stopping) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = stopping.told() => return Ok(()),
            () = tokio::time::sleep(SWEEP_INTERVAL) => {}
        }
        if let Err(error) = kit::retention::sweep(&database, SWEEP_LIMIT).await {
            warn!(%error, "the kit's tables cannot be swept");
        }
        if let Err(error) = instances::sweep(&database, SWEEP_LIMIT).await {
            warn!(%error, "the service's tables cannot be swept");
        }
    }
}

//! Puts the service together.

use std::sync::Arc;
use std::time::Duration;

use kit::backoff::Backoff;
use kit::database::{Database, migrate};
use kit::outbox::{Relay, RelaySettings};
use kit::{Identity, Kit, Limits, Service, Stopping};
use tracing::warn;

use crate::api::{self, App};
use crate::email::Email;
use crate::push::Hub;
use crate::settings::{MigrationSettings, Settings};
use crate::store::allowances::Limit;
use crate::store::{self, SCHEMA};
use crate::templates::Templates;
use crate::webhook::Webhook;

/// Data for a template, not attachments.
const MAX_BODY_BYTES: usize = 256 * 1024;
/// No wait between tries is longer.
const LONGEST_WAIT: Duration = Duration::from_mins(10);
/// Longer than a conversation with a mail server, command by command, usually
/// takes; a mail that is cut off may arrive twice.
const DELIVERY_TIMEOUT: Duration = Duration::from_mins(1);
/// How often old rows are looked for, and how many are deleted at once.
const SWEEP_INTERVAL: Duration = Duration::from_mins(5);
const SWEEP_LIMIT: i64 = 10_000;

/// Who this service is.
pub const IDENTITY: Identity = Identity::new("notification", env!("CARGO_PKG_VERSION"), 8002);

/// For `notification migrate`.
pub async fn migrate_only(settings: MigrationSettings) -> anyhow::Result<()> {
    let settings = settings.settings(SCHEMA, IDENTITY.name);
    Ok(migrate(&settings, sqlx::migrate!()).await?)
}

/// For `notification`.
pub async fn assemble(kit: Kit, settings: Settings) -> anyhow::Result<Service> {
    let relay = relay_settings(&settings)?;
    let templates = settings.templates.as_ref().map(|place| place.0.as_path());
    let templates = Arc::new(Templates::load(templates)?);
    let database_settings = settings.database.settings(SCHEMA, IDENTITY.name);
    let database = Database::new(&database_settings);
    let email = Email::new(database.clone(), &settings.smtp)?;
    let webhook = Webhook::new(database.clone(), settings.destinations);
    migrate(&database_settings, sqlx::migrate!()).await?;

    let relay = Relay::new(database.clone(), relay)
        .with(email)
        .await?
        .with(webhook)
        .await?;
    let hub = Hub::new(&database);
    let app = App {
        database: database.clone(),
        templates,
        hub: hub.clone(),
        limit: Limit {
            burst: settings.burst.get(),
            refill: settings.refill.get(),
        },
        destinations: settings.destinations,
        stopping: kit.stopping.clone(),
    };
    let (stopping, sweeping) = (kit.stopping.clone(), kit.stopping.clone());
    let swept = database.clone();
    let session_state = kit::outbox::Gauges::register(&kit.metrics);
    Ok(Service::new(api::router(app))
        .limits(Limits {
            body_bytes: MAX_BODY_BYTES,
            ..Limits::default()
        })
        .database(&database)
        .background("deliveries", async move {
            relay.run(async move { stopping.told().await }).await;
            anyhow::Ok(())
        })
        .background("sweep", sweep(swept, hub, sweeping))
        .background(
            "counting",
            session_state.keep(database, kit.stopping.clone()),
        ))
}

fn relay_settings(settings: &Settings) -> anyhow::Result<RelaySettings> {
    Ok(RelaySettings {
        concurrency: usize::try_from(settings.smtp.concurrency.get())?,
        delivery_timeout: DELIVERY_TIMEOUT,
        backoff: Backoff {
            first: settings.retry_after.get(),
            longest: LONGEST_WAIT,
            attempts: settings.attempts.get(),
        },
        ..RelaySettings::default()
    })
}

/// Deletes what is too old, from time to time.
async fn sweep(database: Database, hub: Hub, stopping: Stopping) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = stopping.told() => return Ok(()),
            () = tokio::time::sleep(SWEEP_INTERVAL) => {}
        }
        hub.sweep();
        if let Err(error) = kit::retention::sweep(&database, SWEEP_LIMIT).await {
            warn!(%error, "the kit's tables cannot be swept");
        }
        if let Err(error) = store::sweep(&database, SWEEP_LIMIT).await {
            warn!(%error, "the service's tables cannot be swept");
        }
    }
}

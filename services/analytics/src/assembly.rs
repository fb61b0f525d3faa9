//! Puts the service together.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use kit::database::{Database, DatabaseError, Variables, migrate};
use kit::metrics::Metrics;
use kit::{Identity, Kit, Limits, Service, Stopping};
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;
use tracing::warn;

use crate::api::{self, App, StoredItems};
use crate::settings::{Retention, Settings};
use crate::store::rollup::{self, RollupOutcome};
use crate::store::{SCHEMA, partitions};

/// A full batch of requests with ids is half as large.
const MAX_BODY_BYTES: usize = 2 << 20;
/// Batches at once: some for each connection of the pool, each some MiB.
const CONCURRENCY: usize = 64;
/// How often partitions are looked after.
const UPKEEP_INTERVAL: Duration = Duration::from_hours(1);
/// How often the kit's own tables are swept, and rows that are deleted at once.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);
const SWEEP_LIMIT: i64 = 10_000;

/// Who this service is.
pub const IDENTITY: Identity = Identity::new("analytics", env!("CARGO_PKG_VERSION"), 8003);

/// For `analytics migrate`.
pub async fn migrate_only(settings: Variables) -> anyhow::Result<()> {
    let settings = settings.settings(SCHEMA, IDENTITY.name);
    Ok(migrate(&settings, sqlx::migrate!()).await?)
}

/// For `analytics`.
pub async fn assemble(kit: Kit, settings: Settings) -> anyhow::Result<Service> {
    let retention = settings.retention();
    let database_settings = settings.database.settings(SCHEMA, IDENTITY.name);
    migrate(&database_settings, sqlx::migrate!()).await?;
    let database = Database::new(&database_settings);
    // Before anything comes that needs one.
    partitions::keep(&database, retention).await?;
    let app = App {
        database: database.clone(),
        retention,
        rates: settings.rates,
        reader_role: settings.reader_role,
        stored_items: StoredItems::register(&kit.metrics),
    };
    let rolling = RollupTask {
        database: database.clone(),
        interval: settings.rollup_interval.get(),
        gauges: Gauges::register(&kit.metrics),
        stopping: kit.stopping.clone(),
    };
    let (ready, closed) = (database.clone(), database.clone());
    Ok(Service::documented(api::router(app))
        .limits(Limits {
            body_bytes: MAX_BODY_BYTES,
            concurrency: CONCURRENCY,
            ..Limits::default()
        })
        .check("database", kit::Need::Required, move || {
            let database = ready.clone();
            async move {
                if database.is_ready().await {
                    Ok(())
                } else {
                    Err("it does not answer")
                }
            }
        })
        .background("roll-ups", rolling.run())
        .background("upkeep", upkeep(database, retention, kit.stopping))
        .at_stop(async move { closed.close().await }))
}

/// How roll-ups stand.
#[derive(Debug, Clone, Default)]
struct Gauges {
    waiting: Gauge,
    oldest: Gauge<f64, AtomicU64>,
}

impl Gauges {
    fn register(metrics: &Metrics) -> Self {
        let gauges = Self::default();
        let help = "Notes of minutes that are not rolled up";
        metrics.register("analytics_rollup_waiting", help, gauges.waiting.clone());
        let help = "Age of the oldest minute that is not rolled up";
        metrics.register(
            "analytics_rollup_oldest_seconds",
            help,
            gauges.oldest.clone(),
        );
        gauges
    }
}

/// Rolls up what comes, until the service stops.
struct RollupTask {
    database: Database,
    interval: Duration,
    gauges: Gauges,
    stopping: Stopping,
}

impl RollupTask {
    async fn run(self) -> anyhow::Result<()> {
        while !self.stopping.is_told() {
            match rollup::round(&self.database).await {
                Ok(RollupOutcome::Done) => continue,
                Ok(RollupOutcome::Idle | RollupOutcome::Elsewhere) => {}
                Err(error) => warn!(%error, "minutes cannot be rolled up"),
            }
            // While the database is away, the last ones stand.
            if let Ok((waiting, oldest)) = rollup::waiting(&self.database).await {
                self.gauges.waiting.set(waiting);
                self.gauges.oldest.set(oldest);
            }
            tokio::select! {
                () = self.stopping.told() => {}
                () = tokio::time::sleep(self.interval) => {}
            }
        }
        Ok(())
    }
}

/// Makes and drops partitions, and deletes what is over, from time to time.
async fn upkeep(
    database: Database,
    retention: Retention,
    stopping: Stopping,
) -> anyhow::Result<()> {
    let mut due = Instant::now() + UPKEEP_INTERVAL;
    loop {
        tokio::select! {
            () = stopping.told() => return Ok(()),
            () = tokio::time::sleep(SWEEP_INTERVAL) => {}
        }
        if let Err(error) = sweep(&database, &stopping).await {
            warn!(%error, "the kit's tables cannot be swept");
        }
        if Instant::now() < due {
            continue;
        }
        // What cannot be done now is tried again after the next sweep.
        match partitions::keep(&database, retention).await {
            Ok(()) => due = Instant::now() + UPKEEP_INTERVAL,
            Err(error) => warn!(%error, "partitions cannot be looked after"),
        }
    }
}

/// Each batch with an Idempotency-Key leaves a record: as many go as came.
async fn sweep(database: &Database, stopping: &Stopping) -> Result<(), DatabaseError> {
    while !stopping.is_told() {
        let swept = kit::retention::sweep(database, SWEEP_LIMIT).await?;
        if swept < SWEEP_LIMIT.unsigned_abs() {
            break;
        }
    }
    Ok(())
}

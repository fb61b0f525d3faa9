//! Checks and syncs of external services: whoever has room takes what is due,
//! for as long as its lease. What a killed process took, others take when the
//! lease has ended.

mod asking;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use kit::Stopping;
use kit::database::{Database, DatabaseError, Notices};
use kit::metrics::Metrics;
use kit::outside::Outside;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::task::JoinSet;
use tracing::{info, warn};
use uuid::Uuid;

use crate::settings::Settings;
use crate::store::tasks::{self, Leases, Task, Work};
use crate::store::{ASKED, health, panels, told_of};

/// How often it is looked what is due.
const LOOK: Duration = Duration::from_millis(500);
/// For storing what came of a task, after the time that it may take.
const STORING: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// Does what is due.
#[derive(Debug)]
pub struct Worker {
    shared: Arc<Shared>,
    concurrency: usize,
}

#[derive(Debug)]
struct Shared {
    database: Database,
    outside: Outside,
    check_timeout: Duration,
    sync_timeout: Duration,
    sync_retry: Duration,
    checks: Family<OutcomeLabel, Counter>,
    syncs: Family<OutcomeLabel, Counter>,
}

impl Worker {
    /// With the bounds of the settings.
    pub fn new(database: Database, settings: &Settings, metrics: &Metrics) -> Self {
        let (checks, syncs) = (Family::default(), Family::default());
        let help = "Checks of external services that ended";
        metrics.register("external_checks", help, Family::clone(&checks));
        let help = "Syncs of reference panels that ended";
        metrics.register("panel_syncs", help, Family::clone(&syncs));
        Self {
            concurrency: usize::try_from(settings.concurrency.get()).unwrap_or(1),
            shared: Arc::new(Shared {
                database,
                outside: Outside::new("banyan-registry", settings.destinations),
                check_timeout: settings.check_timeout.get(),
                sync_timeout: settings.sync_timeout.get(),
                sync_retry: settings.sync_retry.get(),
                checks,
                syncs,
            }),
        }
    }

    /// Works until the service stops; what is not done then, others do.
    pub async fn run(self, notices: Notices, stopping: Stopping) -> anyhow::Result<()> {
        let mut receiver = notices.subscribe();
        let mut doing = JoinSet::new();
        let mut leases = HashSet::new();
        let mut is_away = false;
        loop {
            match self.take(&mut doing, &mut leases).await {
                Ok(()) if is_away => {
                    info!("work goes on");
                    is_away = false;
                }
                Ok(()) => {}
                Err(error) if is_away => drop(error),
                Err(error) => {
                    warn!(%error, "no work can be taken; trying again");
                    is_away = true;
                }
            }
            tokio::select! {
                () = stopping.told() => break,
                () = told_of(&mut receiver, ASKED) => receiver.clear(),
                () = tokio::time::sleep(LOOK) => {}
                Some(done) = doing.join_next() => {
                    // One that panicked is taken again when its lease ends.
                    if let Ok(lease) = done {
                        leases.remove(&lease);
                    }
                }
            }
        }
        doing.shutdown().await;
        let leases: Vec<Uuid> = leases.into_iter().collect();
        if let Err(error) = tasks::release(&self.shared.database, &leases).await {
            warn!(%error, "work is not handed back; others take it when its leases end");
        }
        Ok(())
    }

    /// Takes what is due, as much as there is room for.
    async fn take(
        &self,
        doing: &mut JoinSet<Uuid>,
        taken: &mut HashSet<Uuid>,
    ) -> Result<(), DatabaseError> {
        let room = self.concurrency.saturating_sub(doing.len());
        if room == 0 {
            return Ok(());
        }
        let leases = Leases {
            check: self.shared.check_timeout + STORING,
            sync: self.shared.sync_timeout + STORING,
        };
        let limit = i64::try_from(room).unwrap_or(1);
        for task in tasks::lease(&self.shared.database, limit, leases).await? {
            taken.insert(task.lease);
            let shared = Arc::clone(&self.shared);
            doing.spawn(async move {
                shared.carry_out(&task).await;
                task.lease
            });
        }
        Ok(())
    }
}

impl Shared {
    async fn carry_out(&self, task: &Task) {
        let service = &task.service;
        let stored = match task.work {
            Work::Check => {
                let (outcome, time) = self.check(service).await;
                let stored = health::store(&self.database, task, &outcome, time).await;
                stored.map(|is_ours| count(&self.checks, is_ours.then(|| outcome.name())))
            }
            Work::Sync => {
                let (found, time) = self.catalogue(service).await;
                let retry = self.sync_retry;
                let stored = panels::store(&self.database, task, &found, time, retry).await;
                stored.map(|stored| count(&self.syncs, Some(stored.name())))
            }
        };
        if let Err(error) = stored {
            // Its lease ends, and it is done once more.
            warn!(service = %service.id, work = ?task.work, %error, "an outcome was not stored");
        }
    }
}

fn count(outcomes: &Family<OutcomeLabel, Counter>, outcome: Option<&'static str>) {
    let outcome = outcome.unwrap_or("lost");
    outcomes.get_or_create(&OutcomeLabel { outcome }).inc();
}

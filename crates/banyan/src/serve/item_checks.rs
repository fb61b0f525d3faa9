//! Checks of checklists' items that need databases, upstreams or Prometheus.

mod alerts;
mod answer;

pub(crate) use alerts::reach as reach_prometheus;

use super::{local_gateway::LocalGateway, local_mover::LocalMover};
use answer::{Answer, failed, passed, skipped};
use async_trait::async_trait;
use conductor::{
    Worker,
    api::Routes,
    ports::{ItemChecks, OldSide},
};
use mover::{archive::ArchiveError, database::session::Session};
use plan::{AutomaticCheck, DatabaseUrl, ExtractionName, Plan};
use protocol::{Side, retire::TableUse};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// Where archives are while they are tried, in the state directory.
const TRIAL: &str = "trial";

/// Makes the checks for all extractions of the plan.
pub(super) struct LocalChecks {
    pub(super) local: Arc<LocalGateway>,
    pub(super) movers: BTreeMap<ExtractionName, Arc<LocalMover>>,
    pub(super) workers: BTreeMap<ExtractionName, Worker>,
    /// The state directory.
    pub(super) state: PathBuf,
}

#[async_trait]
impl ItemChecks for LocalChecks {
    async fn check(&self, extraction: &ExtractionName, check: AutomaticCheck) -> Answer {
        let plan = self.local.plan();
        match check {
            AutomaticCheck::Databases => databases(&plan, extraction).await,
            AutomaticCheck::Secrets => match self.local.reread() {
                Ok(_) => passed("the plan was read anew, with all its references"),
                Err(why) => failed(why),
            },
            AutomaticCheck::Health => self.health(&plan, extraction).await,
            AutomaticCheck::Alerts => alerts::check(&plan, extraction).await,
            AutomaticCheck::Backup => self.backup(&plan, extraction).await,
            AutomaticCheck::Verify
            | AutomaticCheck::RollbackRehearsed
            | AutomaticCheck::Migrated
            | AutomaticCheck::TablesUnused
            | AutomaticCheck::RoutesUnused
            | AutomaticCheck::ErrorRate
            | AutomaticCheck::Latency => skipped("it is checked elsewhere"),
        }
    }
}

#[async_trait]
impl OldSide for LocalChecks {
    async fn table_use(&self, extraction: &ExtractionName) -> Result<TableUse, String> {
        let mover = self.movers.get(extraction);
        let mover = mover.ok_or_else(|| "it is not the plan's any more".to_owned())?;
        let counted = mover.use_of_old_tables().await;
        counted.map_err(|error| error.to_string())
    }
}

/// Whether each side's database lets us in.
async fn databases(plan: &Plan, extraction: &ExtractionName) -> Answer {
    let Some(one) = plan.extractions.get(extraction) else {
        return failed("it is not the plan's any more");
    };
    let moved = one.data.replicate().map(|data| &data.databases);
    // Where nothing moves, what the plan names: the service's health says the rest.
    let service = plan.service_of(one).database.as_ref();
    let both = [
        (
            Side::Monolith,
            moved.map_or(plan.monolith.database.as_ref(), |data| Some(&data.monolith)),
        ),
        (
            Side::Service,
            moved.map_or(service, |data| Some(&data.service)),
        ),
    ];
    let both = both.into_iter();
    let both: Vec<(Side, &DatabaseUrl)> =
        both.filter_map(|(side, url)| Some((side, url?))).collect();
    if both.is_empty() {
        return skipped("the plan names no database of it");
    }
    for (side, database) in &both {
        if let Err(error) = Session::open(*side, database).await {
            return failed(error.to_string());
        }
    }
    let names: Vec<_> = both
        .iter()
        .map(|(_, database)| database.to_string())
        .collect();
    passed(format!("reached {}", names.join(" and ")))
}

impl LocalChecks {
    async fn health(&self, plan: &Plan, extraction: &ExtractionName) -> Answer {
        if let Some(problem) = self.local.service_problem(extraction).await {
            return failed(format!("the service: {problem}"));
        }
        let service = plan.extractions.get(extraction);
        let service = service.map(|one| plan.service_of(one));
        if service.is_none_or(|service| service.health.is_none()) {
            return skipped("the plan has no `health` of the service");
        }
        if plan.monolith.health.is_none() {
            return passed("the service does; the plan has no `health` of the monolith");
        }
        let addresses = &plan.gateway.host_addresses;
        match gateway::check_health(&plan.monolith, addresses).await {
            Ok(()) => passed("both sides do"),
            Err(problem) => failed(format!("the monolith: {problem}")),
        }
    }

    /// Archives the owner's tables, and restores them for trial.
    async fn backup(&self, plan: &Plan, extraction: &ExtractionName) -> Answer {
        let (Some(mover), Some(worker)) =
            (self.movers.get(extraction), self.workers.get(extraction))
        else {
            return skipped("its tables are not named in the plan: both sides share the data");
        };
        let Some(scratch) = &plan.checklists.scratch else {
            return skipped(
                "the plan has no `checklists.scratch`, a server to restore into. Give it one, or \
                 attest a restore that was tried elsewhere",
            );
        };
        let owner = worker.status().owner;
        let owner = Side::BOTH.into_iter().find(|side| side.as_str() == owner);
        let Some(owner) = owner else {
            return failed("nobody owns the data right now: have it checked again");
        };
        let directory = self.state.join(TRIAL);
        let tried = mover.restore_for_trial(owner, scratch, &directory).await;
        match tried {
            Ok(tables) => {
                let rows: i64 = tables.iter().map(|table| table.rows).sum();
                passed(format!(
                    "{} tables of the {owner} with {rows} rows were archived, restored and counted",
                    tables.len()
                ))
            }
            Err(error @ ArchiveError::NoTool { .. }) => skipped(error.to_string()),
            Err(error) => failed(error.to_string()),
        }
    }
}

//! What the API serves, and what of it is asked for by name.

use super::{
    exposition::Exposition,
    failure::{CallError, conflict, failure},
    messages::ErrorKind,
    routes::Routes,
};
use crate::{
    checklist::ChecklistHandle,
    halt::Halt,
    journal::Journal,
    outlook,
    retire::RetireHandle,
    rollout::RolloutHandle,
    status::{ExtractionStatus, Status, no_extraction},
    worker::Worker,
};
use axum::http::StatusCode;
use plan::ExtractionName;
use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

/// Makes what `/metrics` answers.
pub type Metrics = Arc<dyn Fn(Exposition) -> Vec<u8> + Send + Sync>;

/// What the API serves.
#[derive(Clone)]
pub struct ApiState {
    /// By extraction.
    pub workers: BTreeMap<ExtractionName, Worker>,
    /// Those that go through the steps of the plan.
    pub rollouts: BTreeMap<ExtractionName, RolloutHandle>,
    /// What is answered to the checklists of each.
    pub checklists: BTreeMap<ExtractionName, ChecklistHandle>,
    /// Whether the old side of each is used.
    pub retirements: BTreeMap<ExtractionName, RetireHandle>,
    /// What stops all of them.
    pub halt: Option<Halt>,
    /// What has happened. A call under way keeps no other process from it.
    pub journal: Weak<Journal>,
    /// The bearer token.
    pub token: Arc<str>,
    /// The text of `/metrics`.
    pub metrics: Metrics,
    /// The gateway's routes.
    pub routes: Arc<dyn Routes>,
}

impl ApiState {
    /// All of it.
    pub(super) fn whole_status(&self) -> Status {
        let whole =
            |(name, worker): (&ExtractionName, &Worker)| self.with_outside(name, worker.status());
        Status {
            extractions: self.workers.iter().map(whole).collect(),
            predecessors: self.routes.predecessors(),
            halted: self.halt.as_ref().and_then(Halt::reason),
            grafana: self.routes.grafana().map(|address| address.to_string()),
        }
    }

    /// With what the worker does not know itself.
    pub(super) fn with_outside(
        &self,
        name: &ExtractionName,
        status: ExtractionStatus,
    ) -> ExtractionStatus {
        outlook::with(ExtractionStatus {
            health: self.routes.health(name),
            shadow_percent: self.routes.shadow_percent(name),
            refusals: self.routes.refusals(name),
            keys: self.routes.keys(name),
            rollout: self.rollouts.get(name).map(RolloutHandle::status),
            brown_out: self
                .retirements
                .get(name)
                .and_then(|one| one.brown_out().status()),
            ..status
        })
    }

    /// An extraction of the plan, and its worker.
    pub(super) fn known(&self, name: &str) -> Result<(&ExtractionName, &Worker), CallError> {
        let found = ExtractionName::new(name).ok();
        if let Some(found) = found.and_then(|found| self.workers.get_key_value(&found)) {
            return Ok(found);
        }
        let none = no_extraction(name, self.workers.keys().map(ExtractionName::as_str));
        let error = format!(
            "the plan that the running `banyan serve` goes by has {none}. If it is in the file by \
             now: `banyan serve --take-over`"
        );
        let code = StatusCode::NOT_FOUND;
        Err(failure(code, ErrorKind::Refused, error, Vec::new()))
    }

    /// Its checklists.
    pub(super) fn lists(&self, name: &str) -> Result<&ChecklistHandle, CallError> {
        let (name, _) = self.known(name)?;
        let nobody = || conflict("nobody answers checklists here".to_owned());
        self.checklists.get(name).ok_or_else(nobody)
    }
}

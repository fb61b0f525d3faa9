//! What has happened to an extraction.

use super::{error::JournalError, order::OrderEvent, report::ReportEvent};
use plan::{Data, Extraction};
use protocol::{
    brown_out, checklist,
    handover::Step,
    lifecycle::{self, Lifecycle},
    rollout,
    shared_data::{self, SharedDataLifecycle},
};
use serde::Deserialize;

/// An event as the journal has it: their names differ. From orders and reports no state
/// follows.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum RecordedEvent {
    /// Of an extraction whose data move.
    Replication(lifecycle::Event),
    /// Of one whose data both sides share.
    SharedData(shared_data::Event),
    /// Of the steps of the plan.
    Rollout(rollout::Event),
    /// Of an item of a checklist.
    Checklist(checklist::Event),
    /// Of who still uses the old side.
    BrownOut(brown_out::Event),
    /// What a person ordered.
    Order(OrderEvent),
    /// What a verify or a hand-over found.
    Report(ReportEvent),
}

/// What has happened to an extraction, in order. One whose data were shared once
/// and are moved now has both.
#[derive(Debug, Default)]
pub struct History {
    /// While its data moved.
    pub replication: Vec<lifecycle::Event>,
    /// When the last hand-over began to hold writes, if it did.
    pub hold_began_ms: Option<i64>,
    /// While both sides shared them.
    pub shared_data: Vec<shared_data::Event>,
    /// What its steps did.
    pub rollout: Vec<rollout::Event>,
    /// What was answered to its checklists.
    pub checklist: Vec<checklist::Event>,
    /// The brown-outs of its old side.
    pub brown_out: Vec<brown_out::Event>,
}

impl History {
    /// What happened while the data moved, and when.
    pub(super) fn replicates(&mut self, event: lifecycle::Event, at_ms: i64) {
        match event {
            lifecycle::Event::HandoverBegan { .. } | lifecycle::Event::RehearsalBegan { .. } => {
                self.hold_began_ms = None;
            }
            lifecycle::Event::HandoverStepped {
                step: Step::HoldBegan { .. },
            } => self.hold_began_ms = Some(at_ms),
            _ => {}
        }
        self.replication.push(event);
    }

    /// The state of one whose data move.
    fn replicated(&self) -> Lifecycle {
        let events = self.replication.iter();
        events.fold(Lifecycle::Planned, Lifecycle::evolve)
    }

    /// Its phase, where it was started and not cancelled.
    pub(super) fn phase(&self) -> Option<&'static str> {
        let shared = self.shared_data.iter();
        let shared = shared.fold(SharedDataLifecycle::default(), SharedDataLifecycle::evolve);
        match self.replicated() {
            moved @ (Lifecycle::Planned | Lifecycle::Finished(_)) => {
                if matches!(shared, SharedDataLifecycle::Split { .. }) {
                    return Some(shared.name());
                }
                (moved != Lifecycle::Planned).then(|| moved.name())
            }
            begun => Some(begun.name()),
        }
    }

    /// Refuses a plan whose mode is another one than that of an extraction
    /// which is under way.
    pub(crate) fn fits(&self, extraction: &Extraction) -> Result<(), JournalError> {
        let replication = self.replicated();
        let shared_data = self.shared_data.iter();
        let shared_data =
            shared_data.fold(SharedDataLifecycle::default(), SharedDataLifecycle::evolve);
        let (began, planned) = match extraction.data {
            Data::Shared if replication != Lifecycle::Planned => ("replicate", "shared"),
            Data::Replicate(_) if matches!(shared_data, SharedDataLifecycle::Split { .. }) => {
                ("shared", "replicate")
            }
            _ => return Ok(()),
        };
        Err(JournalError::OtherMode {
            extraction: extraction.name.clone(),
            began,
            planned,
        })
    }
}

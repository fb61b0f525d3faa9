//! What happens to a rollout. Persisted: never edited; a changed meaning is a new variant.

use super::{
    actor::Actor,
    moment::UnixMillis,
    stop::{StopReason, Undo},
};
use serde::{Deserialize, Serialize};

/// What has happened to a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum Event {
    /// It began.
    #[serde(rename = "rollout-began")]
    Began {
        /// The steps as the plan had them, in words.
        steps: Vec<String>,
        /// A digest of the plan's text.
        plan: String,
    },
    /// What a step wants is so.
    #[serde(rename = "step-entered")]
    Entered {
        /// Its place, from 0.
        step: usize,
        /// Since when.
        at: UnixMillis,
    },
    /// A step's time is over, and its gates have passed.
    #[serde(rename = "step-passed")]
    Passed {
        /// Its place, from 0.
        step: usize,
        /// What its gates found, each with the numbers that it went by.
        evidence: Vec<serde_json::Value>,
    },
    /// All steps are behind it.
    #[serde(rename = "rollout-ended")]
    Ended,
    /// It stopped.
    #[serde(rename = "rollout-stopped")]
    Stopped {
        /// Why.
        why: StopReason,
        /// What takes the step back, where that is due.
        undo: Option<Undo>,
    },
    /// What the gates found when it stopped, or when it was decided to go on.
    #[serde(rename = "rollout-evidence")]
    Evidence {
        /// Each with the numbers that it went by.
        evidence: Vec<serde_json::Value>,
    },
    /// The step was taken back.
    #[serde(rename = "step-undone")]
    Undone {
        /// How.
        undo: Undo,
    },
    /// A person has it go on.
    #[serde(rename = "rollout-resumed")]
    Resumed {
        /// With which step.
        step: usize,
        /// Who.
        by: Actor,
        /// The steps as the plan has them now.
        steps: Vec<String>,
    },
    /// A person has approved the step that comes.
    #[serde(rename = "step-approved")]
    Approved {
        /// Its place, from 0.
        step: usize,
        /// Who.
        by: Actor,
        /// In that person's words.
        note: String,
    },
    /// The extraction has ended: its next life begins with the first step.
    #[serde(rename = "rollout-forgotten")]
    Forgotten,
}

//! Where the steps of the plan are.

use super::next_verb::NextVerb;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a rollout is in the steps of its plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RolloutStatus {
    /// `idle`, `running`, `stopped` or `done`.
    pub state: String,
    /// The step, from 1.
    pub step: Option<usize>,
    /// How many decisions led here, over its whole life, plans that were read aside: another
    /// number, another state.
    #[serde(default)]
    pub decisions: u64,
    /// All steps, in words.
    pub steps: Vec<String>,
    /// How they differ from those that it was begun or resumed by, in words, after a restart:
    /// later ones are gone by, an earlier one stops it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// Why the steps that the last reload was to bring did not take effect, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps_refused: Option<String>,
    /// Since when what the step wants is so, in milliseconds since 1970.
    pub entered_ms: Option<i64>,
    /// Until when it lasts at least, likewise.
    pub until_ms: Option<i64>,
    /// Why it has stopped.
    pub why: Option<String>,
    /// What it waits for, in words.
    pub waits_for: Vec<String>,
    /// The verb that its steps wait for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks: Option<NextVerb>,
    /// The step, from 1, with which it would go on by the share that is, where it has
    /// stopped and the one that it stopped in does not fit that any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_step: Option<usize>,
    /// Why what is due was refused; it is asked for again.
    pub refused: Option<String>,
    /// The step's gates.
    pub gates: Vec<GateStatus>,
    /// What both sides answered to the extraction's routes lately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<AnswersStatus>,
    /// What would take back what the service has.
    pub undo: Option<String>,
    /// Whether that is due by itself: a gate has stopped the steps, say.
    #[serde(default)]
    pub undo_is_due: bool,
}

impl RolloutStatus {
    /// The step where it is, for a sentence: `3 of 5 (switch)`.
    pub fn step_words(&self) -> Option<String> {
        let number = self.step?;
        let words = self.steps.get(number.checked_sub(1)?)?;
        Some(format!("{number} of {} ({words})", self.steps.len()))
    }

    /// What is to be approved of that step, where the plan says it and it waits for that.
    pub fn to_approve(&self) -> Option<&str> {
        match &self.asks {
            Some(NextVerb::Approve { of, .. }) => of.as_deref(),
            _ => None,
        }
    }
}

/// What both sides answered to the same routes in the same time, for people to compare: a
/// minute at most. Gates go by counts of their own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AnswersStatus {
    /// Of how long.
    pub seconds: f64,
    /// The monolith.
    pub monolith: SideAnswers,
    /// The service.
    pub service: SideAnswers,
}

/// What a side answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SideAnswers {
    /// Reads and writes that ended.
    pub requests: u64,
    /// Those of them that the side failed: with 5xx, or without an answer.
    pub errors: u64,
    /// The time that half of the answers take at most, in milliseconds: 9 % too long at most.
    pub p50_ms: Option<f64>,
    /// That 95 of 100 take at most.
    pub p95_ms: Option<f64>,
    /// That 99 of 100 take at most.
    pub p99_ms: Option<f64>,
}

/// What a gate says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateStatus {
    /// Its name in the plan.
    pub name: String,
    /// `pass`, `fail`, `needs-more` or `unknown`.
    pub verdict: String,
    /// That in words.
    pub text: String,
    /// Whether nothing follows from it.
    pub dry_run: bool,
    /// The numbers that it goes by.
    pub evidence: serde_json::Value,
}

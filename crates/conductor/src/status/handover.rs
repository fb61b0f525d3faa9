//! A hand-over, under way or the last one.

use crate::ports::HoldReport;
use protocol::{Side, owner::Outcome};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A hand-over.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct HandoverStatus {
    /// `switch` or `rollback`.
    pub kind: String,
    /// Whether it is the rehearsal of one, which commits nothing.
    #[serde(default)]
    pub rehearsal: bool,
    /// `committed`, `aborted`, `under-way`, or `rehearsed`: a rehearsal that got as far as
    /// the commit point and was undone there as planned.
    pub outcome: String,
    /// Why it was aborted.
    pub reason: Option<String>,
    /// Its decision.
    pub epoch: u64,
    /// From its beginning to its end; where the process ended in the middle, from
    /// the next one's.
    pub total_ms: f64,
    /// What the gateways held for it.
    #[serde(flatten)]
    pub hold: HoldReport,
    /// How long each step took, in order.
    pub steps: Vec<StepStatus>,
    /// Who was seen to be waited for; looked for in rehearsals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waited_for: Vec<WaitStatus>,
    /// Tables whose rows it did not hand over: each side keeps its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub split_tables: Vec<String>,
}

impl HandoverStatus {
    /// Whether it came as far as to hold requests.
    pub fn held(&self) -> bool {
        self.steps.iter().any(|step| step.name == "hold")
    }
}

/// Somebody for whom a step of a hand-over waited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitStatus {
    /// The step's name.
    pub step: String,
    /// Who, in words.
    pub whom: String,
}

/// One step of a hand-over.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct StepStatus {
    /// Its name.
    pub name: String,
    /// How long it took.
    pub ms: f64,
}

/// The word for a hand-over away from this side.
pub(crate) fn kind(from: Side) -> &'static str {
    match from {
        Side::Monolith => "switch",
        Side::Service => "rollback",
    }
}

/// The word for how one ended. A rehearsal that ended as planned has no reason.
pub(crate) fn outcome(outcome: Outcome, rehearsal: bool, reason: Option<&str>) -> &'static str {
    match outcome {
        Outcome::Committed => "committed",
        Outcome::Aborted if rehearsal && reason.is_none() => "rehearsed",
        Outcome::Aborted => "aborted",
    }
}

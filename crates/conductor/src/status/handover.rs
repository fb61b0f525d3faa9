//! A hand-over, under way or the last one.

use crate::ports::HoldReport;
use protocol::{Side, owner::Outcome};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

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
    /// Where the process ended while writes were held: from the hold's beginning to this
    /// one's end, by the journal's clock. They were held for no longer; its times and
    /// what the gateways held are those after the restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_ms_max: Option<f64>,
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
        self.pause().and_then(Pause::ms).is_some()
    }

    /// How long writes were held in it; `None`: its report was lost with the process.
    pub fn pause(&self) -> Option<Pause> {
        let is_before = |step: &str| matches!(step, "ready" | "lock");
        let held = self.steps.iter().skip_while(|step| is_before(&step.name));
        let came_to_hold = self.steps.iter().any(|step| step.name == "hold");
        match self.pause_ms_max {
            Some(max) => Some(Pause::AtMost(max)),
            None if came_to_hold => Some(Pause::Measured(held.map(|step| step.ms).sum())),
            None => (!self.steps.is_empty()).then_some(Pause::Never),
        }
    }
}

/// How long a hand-over held writes, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pause {
    /// It never came to a hold.
    Never,
    /// All that came after the weak lock.
    Measured(f64),
    /// The process ended in it: no longer than this.
    AtMost(f64),
}

impl Pause {
    /// The milliseconds, or their bound.
    pub fn ms(self) -> Option<f64> {
        match self {
            Self::Never => None,
            Self::Measured(ms) | Self::AtMost(ms) => Some(ms),
        }
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("none"),
            Self::Measured(ms) => write!(f, "{ms:.0} ms"),
            Self::AtMost(ms) => write!(f, "{ms:.0} ms at most"),
        }
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

/// Between two moments of the journal, in milliseconds.
pub fn between_ms(from_ms: i64, until_ms: i64) -> f64 {
    let between = until_ms.saturating_sub(from_ms).max(0).unsigned_abs();
    Duration::from_millis(between).as_secs_f64() * 1e3
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

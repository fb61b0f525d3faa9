//! What is so, as far as a rollout goes by it.

use super::moment::UnixMillis;
use crate::Side;
use plan::{ExtractionName, Percent};
use serde::{Deserialize, Serialize};

/// What is so at one moment.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// That moment.
    pub now: UnixMillis,
    /// How the extraction stands.
    pub standing: Standing,
    /// What the gates of the current step find.
    pub gates: &'a [Gate],
    /// Extractions that must switch first and have not.
    pub awaited: &'a [ExtractionName],
    /// Who halted all rollouts, and why.
    pub halted: Option<&'a str>,
    /// Whether reads go to the owner for now, whatever share is wanted: a stream is not
    /// well.
    pub is_withheld: bool,
}

/// How an extraction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has not been started, or it has ended.
    Absent,
    /// It is being prepared or copied.
    Coming,
    /// One side owns it.
    Owned {
        /// Which.
        by: Side,
        /// The share of the reads that go to the service.
        reads: Percent,
        /// The share of the writes that do, where both sides share the data.
        writes: Option<Percent>,
    },
    /// It is being handed over.
    HandingOver,
    /// It is being ended.
    Ending,
    /// The service keeps it for good.
    Finished,
    /// Nobody knows for now.
    Unknown,
}

impl Standing {
    /// Whether the service has all writes.
    pub fn has_switched(self) -> bool {
        match self {
            Self::Owned {
                writes: Some(writes),
                ..
            } => writes == Percent::ALL,
            Self::Owned { by, .. } => by == Side::Service,
            Self::Finished => true,
            _ => false,
        }
    }
}

/// What a gate finds.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// Its name in the plan.
    pub name: String,
    /// What follows from it.
    pub kind: GateKind,
    /// Whether nothing follows from it.
    pub is_dry_run: bool,
    /// What it finds.
    pub verdict: Verdict,
    /// That in words.
    pub text: String,
    /// The numbers that it went by.
    pub evidence: serde_json::Value,
}

/// What follows from a gate that does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateKind {
    /// Failing, it shows harm: the step is taken back.
    Harm,
    /// The step does not end before.
    Enough,
    /// The step does not begin before.
    Begin,
    /// The step does not begin before, and what is missing is made once all else is so: a
    /// verify.
    Proof,
}

/// What a gate finds. Nothing but a pass is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It does not.
    Fail,
    /// It cannot be said yet.
    NeedMore,
    /// It cannot be said: what it goes by is missing or makes no sense.
    Unknown,
}

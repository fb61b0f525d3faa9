//! What `banyan status` shows, as JSON.

mod checklist;
mod handover;
mod ills;
mod names;
mod next_verb;
mod retire;
mod rollout;

pub use checklist::{ChecklistStatus, ItemStatus};
pub use handover::{HandoverStatus, Pause, StepStatus, WaitStatus, between_ms};
pub(crate) use handover::{kind, outcome};
pub use names::no_extraction;
pub use next_verb::NextVerb;
pub use retire::{BrownOutStatus, QuietStatus, RetireStatus};
pub use rollout::{AnswersStatus, GateStatus, RolloutStatus, SideAnswers};

use crate::ports::{Predecessor, Progress, TableVerified};
use protocol::Side;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// All extractions.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// In the plan's order.
    pub extractions: Vec<ExtractionStatus>,
    /// Earlier processes that still answer requests: until they have ended, reads go to the
    /// owner and nothing is handed over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predecessors: Vec<Predecessor>,
    /// Who halted all rollouts, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<String>,
    /// Where Grafana's pages are, as the plan says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grafana: Option<String>,
}

/// One extraction.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct ExtractionStatus {
    /// Its name.
    pub name: String,
    /// Where in its life it is.
    pub phase: String,
    /// Who may write: `monolith`, `service`, `nobody`, `unknown`, or `both`,
    /// which share the data.
    pub owner: String,
    /// Which of its lives this is: another one after a cancel and a start; `None` before it,
    /// and where both sides share the data, whose decisions count on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The last decision.
    pub epoch: u64,
    /// The share of clients whose reads go to the service.
    pub reads_percent: f64,
    /// Whether all reads go to the owner for now, because the stream to the
    /// other side is not well.
    #[serde(default)]
    pub reads_withdrawn: bool,
    /// The share that is wanted, while reads are withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads_wanted_percent: Option<f64>,
    /// Whether a rollback has left readers at the service: it hands the writes back, and
    /// nobody has shifted since.
    #[serde(default)]
    pub left_readers: bool,
    /// The share of clients whose writes go to the service, where both sides
    /// share the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writes_percent: Option<f64>,
    /// The brown-out of its old side that lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brown_out: Option<BrownOutStatus>,
    /// How both sides are, as the gateway sees them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthStatus>,
    /// Of how many reads the client was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<KeyStatus>,
    /// What the fences have refused since they were put up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<RefusalStatus>,
    /// What goes wrong at the moment, and what to do.
    pub trouble: Option<String>,
    /// Tables that were added and are not copied yet; the copy's progress is theirs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joining: Vec<String>,
    /// Copy and streams.
    #[serde(flatten)]
    pub progress: Progress,
    /// The steps of the plan, where it has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutStatus>,
    /// The last verify.
    pub last_verify: Option<VerifyStatus>,
    /// The hand-over under way or the last one.
    pub last_handover: Option<HandoverStatus>,
    /// Where that is a rehearsal, the last hand-over that was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handover_before_rehearsal: Option<HandoverStatus>,
    /// The share of reads of which copies are compared; `None`: the plan has no `shadow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow_percent: Option<f64>,
    /// Where it stands: nine stops, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rail: Vec<RailStop>,
    /// The verb that a person is asked for; `None`: nobody is for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks: Option<NextVerb>,
    /// What comes next, in a sentence.
    #[serde(default)]
    pub next: String,
    /// What it would cost to go back now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way_back: Option<WayBack>,
}

/// A stop on the way from the plan to the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RailStop {
    /// `check`, `copy`, `follow`, `verify`, `shadow`, `shift`, `switch`, `watch` or `retire`.
    pub name: String,
    /// Whether it was reached.
    pub state: StopState,
    /// A number that goes with it.
    pub note: Option<String>,
}

/// Whether a stop was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StopState {
    /// It is behind.
    Done,
    /// It is here.
    Now,
    /// It is ahead.
    ToCome,
    /// The plan leaves it out.
    LeftOut,
}

/// What it would cost to go back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WayBack {
    /// Whether it could be gone now, as far as is known.
    pub possible: bool,
    /// By which verb; `None`: there is nothing to take back, or no way.
    pub by: Option<String>,
    /// What it does and costs, or why there is none.
    pub text: String,
    /// Bytes of changes that have to flow back first, where the service owns.
    pub lag_bytes: Option<u64>,
    /// The age of the oldest of them.
    pub lag_seconds: Option<f64>,
    /// Tables of which each side keeps its own: nothing of them goes back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stays: Vec<String>,
    /// The verb after which there is none; `None`: that is behind.
    pub no_return: Option<String>,
}

impl ExtractionStatus {
    /// The share of readers that is wanted at the service: what a stream that is not well
    /// withdraws comes back by itself.
    pub fn wanted_reads(&self) -> f64 {
        self.reads_wanted_percent.unwrap_or(self.reads_percent)
    }

    /// Whether the monolith gets all writes.
    pub fn writes_stay(&self) -> bool {
        match self.writes_percent {
            Some(share) => share <= 0.0,
            None => self.owner == Side::Monolith.as_str(),
        }
    }

    /// Whether the service gets all writes.
    pub fn has_switched(&self) -> bool {
        match self.writes_percent {
            Some(share) => share >= 100.0,
            None => self.owner == Side::Service.as_str(),
        }
    }
}

/// How both sides are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HealthStatus {
    /// The monolith.
    pub monolith: SideHealth,
    /// The extraction's service.
    pub service: SideHealth,
}

/// How a side is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SideHealth {
    /// `healthy`; `unhealthy`; `not-asked`, where it has not answered yet (with that reason), or the plan
    /// has no `health` for it.
    pub state: String,
    /// What is wrong, also with a part of it.
    pub reason: Option<String>,
    /// For how long it has been so, where that was seen.
    pub for_seconds: Option<f64>,
}

/// Of how many reads the client was known, since this process serves: a split goes by
/// clients, and what nobody is known to ask goes to the owner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyStatus {
    /// Where the plan has the key, in words; `None`: nowhere.
    pub key: Option<String>,
    /// Reads that carried it.
    pub with: u64,
    /// Reads that did not.
    pub without: u64,
}

/// What the fence of a side has refused since it was put up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusalStatus {
    /// Whose fence: `monolith` or `service`.
    pub side: String,
    /// How many statements.
    pub statements: u64,
    /// When the first was, in UTC.
    pub first_seen: String,
    /// When the last was.
    pub last_seen: String,
    /// The same in milliseconds since 1970.
    #[serde(default)]
    pub last_seen_ms: i64,
    /// What this side answered with 5xx within seconds of a refusal, as far as this
    /// process saw it; what it did most often comes first.
    pub failed: Vec<FailedRoute>,
}

/// Requests that were answered with 5xx while a fence refused statements.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailedRoute {
    /// Their method.
    pub method: String,
    /// The route's path, or the requests' own where the plan has no route for them.
    pub path: String,
    /// Whether the plan has one.
    pub has_route: bool,
    /// Whether a route of this extraction takes them for reads.
    pub is_read: bool,
    /// How many.
    pub answers: u64,
}

/// The last verify.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct VerifyStatus {
    /// Rows compared.
    pub rows: u64,
    /// Rows that differ.
    pub differences: u64,
    /// When it ended, in milliseconds since 1970.
    pub at_ms: i64,
    /// The same by table; one that is not among them was not compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableVerified>,
}

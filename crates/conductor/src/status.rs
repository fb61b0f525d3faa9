//! What `banyan status` shows, as JSON.

use crate::ports::{HoldReport, Predecessor, Progress, TableVerified};
use protocol::{
    Side,
    lifecycle::Lifecycle,
    owner::Outcome,
    retire::{OldCaller, TableUse},
};
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

/// A verb that a person is asked for, with what it takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum NextVerb {
    /// Begin.
    Start,
    /// Prove that both sides agree.
    Verify {
        /// Rows that differed the last time.
        differences: u64,
    },
    /// Send more of the clients to the service.
    Shift {
        /// The share of the reads that is proposed.
        reads_percent: f64,
    },
    /// Send the readers back that a rollback left at the service.
    Withdraw,
    /// Hand the writes over.
    Switch,
    /// Let a step of the plan begin.
    Approve {
        /// Which, from 1.
        step: usize,
        /// What is to be approved, where the plan says it.
        of: Option<String>,
    },
    /// Have the steps of the plan go on.
    Resume {
        /// With which, from 1, where it is not the one that they stopped in; a call without
        /// it is refused where they are in none.
        step: Option<usize>,
    },
    /// End the way back.
    Finish,
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

    /// What is not well with it, in words: what `status --check` goes by. Steps that have
    /// stopped wait for a person, which is none.
    pub fn ills(&self) -> Vec<String> {
        let mut ills: Vec<String> = self.trouble.iter().cloned().collect();
        let health = self.health.iter();
        for (side, health) in
            health.flat_map(|both| [("monolith", &both.monolith), ("service", &both.service)])
        {
            let why = health.reason.as_deref();
            match (health.state.as_str(), why) {
                ("unhealthy", _) => {
                    let why = why.unwrap_or("no reason is known");
                    ills.push(format!("the {side} is unhealthy: {why}"));
                }
                ("not-asked", Some(why)) => ills.push(format!("the {side}'s health: {why}")),
                _ => {}
            }
        }
        if self.reads_withdrawn {
            ills.push(
                "all reads go to the owner: the stream to the service is not well".to_owned(),
            );
        }
        let gates = self.rollout.iter().flat_map(|rollout| &rollout.gates);
        let failed = gates.filter(|gate| gate.verdict == "fail" && !gate.dry_run);
        ills.extend(failed.map(|gate| format!("gate `{}` fails: {}", gate.name, gate.text)));
        ills
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

/// A brown-out that lasts: requests for the old side are refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BrownOutStatus {
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
    /// When it ends by itself, likewise.
    pub until_ms: i64,
    /// When clients are told that the old side goes for good, likewise.
    pub sunset_ms: i64,
    /// Who wanted it.
    pub by: String,
}

/// The evidence that nobody uses an old side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetireStatus {
    /// Whether tables and routes were quiet for as long as the plan wants.
    pub enough: bool,
    /// How long that is, in milliseconds.
    pub wanted_ms: i64,
    /// Of the old tables; `None`: nothing was seen yet.
    pub tables: Option<QuietStatus>,
    /// Of the routes at the monolith, as this gateway saw them.
    pub routes: Option<QuietStatus>,
    /// What the monolith's server had counted at the last look.
    pub counts: Option<TableUse>,
    /// Who came by the old ways to it in this life: by the plan's routes with `retires-with`,
    /// and clients that chose the old side.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub callers: Vec<OldCaller>,
    /// Why nothing newer is known.
    pub trouble: Option<String>,
}

/// For how long something was not used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuietStatus {
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
    /// How long that is, by this host's clock and the database's.
    pub quiet_ms: i64,
    /// Why it began then.
    pub because: String,
    /// Whether that is as long as the plan wants.
    pub enough: bool,
}

/// A checklist of an extraction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChecklistStatus {
    /// Its name in the plan.
    pub name: String,
    /// Whether all items are.
    pub done: bool,
    /// In the plan's order.
    pub items: Vec<ItemStatus>,
}

/// An item of a checklist.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ItemStatus {
    /// Its name.
    pub name: String,
    /// What has been done then.
    pub text: String,
    /// Whether it is checked; else a person attests it.
    pub automatic: bool,
    /// `done`, `open`, `old`, `failed` or `skipped`.
    pub state: String,
    /// Whether it is being checked right now.
    pub checking: bool,
    /// What its check found last.
    pub found: Option<String>,
    /// When, in milliseconds since 1970.
    pub checked_ms: Option<i64>,
    /// Who attested it, where that counts.
    pub by: Option<String>,
    /// In that person's words.
    pub note: Option<String>,
    /// When, likewise.
    pub attested_ms: Option<i64>,
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

/// The owner's word.
pub(crate) fn owner(state: &Lifecycle) -> &'static str {
    match state {
        Lifecycle::Owned(owned) => owned.by.as_str(),
        Lifecycle::HandingOver { before, handover } if !handover.holds() => before.by.as_str(),
        Lifecycle::HandingOver { .. } => "nobody",
        Lifecycle::Finishing(_) | Lifecycle::Finished(_) => Side::Service.as_str(),
        _ => Side::Monolith.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ill_is_told() {
        let gate = |verdict: &str, dry_run| GateStatus {
            name: "p95".to_owned(),
            verdict: verdict.to_owned(),
            text: "slow".to_owned(),
            dry_run,
            ..GateStatus::default()
        };
        let well = ExtractionStatus {
            health: Some(HealthStatus::default()),
            rollout: Some(RolloutStatus {
                state: "stopped".to_owned(),
                gates: vec![gate("needs-more", false), gate("fail", true)],
                ..RolloutStatus::default()
            }),
            ..ExtractionStatus::default()
        };
        assert_eq!(well.ills(), Vec::<String>::new());
        let mut ill = well;
        ill.trouble = Some("full".to_owned());
        ill.reads_withdrawn = true;
        if let (Some(health), Some(rollout)) = (&mut ill.health, &mut ill.rollout) {
            health.service.state = "unhealthy".to_owned();
            rollout.gates.push(gate("fail", false));
        }
        let ills = ill.ills();
        assert_eq!(ills.len(), 4, "{ills:?}");
        if let Some(health) = &mut ill.health {
            health.service.state = "not-asked".to_owned();
            assert_eq!(ill.ills().len(), 3, "the plan has no health for it");
        }
        if let Some(health) = &mut ill.health {
            health.service.reason = Some("it has not answered yet".to_owned());
        }
        assert_eq!(ill.ills().len(), 4, "{:?}", ill.ills());
        assert!(ills[1].contains("the service is unhealthy"), "{ills:?}");
        assert!(ills[3].contains("gate `p95` fails: slow"), "{ills:?}");
    }
}

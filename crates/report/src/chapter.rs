//! One extraction: what it went through, and where it stands.

use crate::moment::{Moment, MomentReader, handover_word};
use conductor::{
    JournalEntry, RecordedEvent, ReportEvent,
    status::{AnswersStatus, ExtractionStatus, GateStatus, HandoverStatus, Pause, between_ms},
};
use protocol::{
    Side,
    handover::Step,
    lifecycle::{Event as Life, Verified},
    owner::Outcome,
    rollout::Event as Steps,
    shared_data::Event as Shared,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

/// A hand-over that commits nothing.
const REHEARSAL: &str = "rehearsal";

/// One extraction.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Chapter {
    /// Its name.
    pub name: String,
    /// Where in its life it is.
    pub phase: String,
    /// Who may write.
    pub owner: String,
    /// The share of clients whose reads go to the service.
    pub reads_percent: f64,
    /// What is wrong now, if anything is.
    pub trouble: Option<String>,
    /// When it began first, in milliseconds since 1970.
    pub began_ms: Option<i64>,
    /// How the clients were split over time, in order.
    pub shares: Vec<ShareChange>,
    /// Its hand-overs, in order.
    pub handovers: Vec<Handover>,
    /// What comparing both sides found, in order.
    pub verifies: Vec<Verify>,
    /// The steps of the plan, as often as they were reached.
    pub steps: Vec<StepRecord>,
    /// What persons approved.
    pub approvals: Vec<Approval>,
    /// How far the sides are apart now: from the monolith, and back.
    pub lag: Lags,
    /// The gates of the step that it is in.
    pub gates: Vec<GateStatus>,
    /// What both sides answered lately.
    pub answers: Option<AnswersStatus>,
    /// All that happened, in order.
    pub moments: Vec<Moment>,
}

/// The split from a moment on.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ShareChange {
    /// Since when.
    pub at_ms: i64,
    /// The share of clients whose reads are the service's.
    pub reads_percent: f64,
    /// The share of clients whose writes are.
    pub writes_percent: f64,
}

/// A hand-over.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Handover {
    /// `switch`, `rollback` or `rehearsal`.
    pub kind: String,
    /// When it began.
    pub began_ms: i64,
    /// When it ended; none: it is under way.
    pub ended_ms: Option<i64>,
    /// `committed`, `aborted` or `rehearsed`.
    pub outcome: Option<String>,
    /// Why it was aborted.
    pub reason: Option<String>,
    /// How long writes were paused, by its report; where the process ended in it, from the
    /// hold's beginning to the end as the journal's rows have it, which is the most that it
    /// can have been. None: it never came to a hold.
    pub held_ms: Option<i64>,
    /// The same in words.
    #[serde(skip)]
    pub(crate) paused: String,
    #[serde(skip)]
    hold_began_ms: Option<i64>,
}

/// To the nearest.
fn whole_ms(ms: f64) -> Option<i64> {
    let length = Duration::try_from_secs_f64(ms.round() / 1e3).ok()?;
    i64::try_from(length.as_millis()).ok()
}

impl Handover {
    fn paused(&mut self, pause: Pause) {
        self.held_ms = pause.ms().and_then(whole_ms);
        self.paused = pause.to_string();
    }
}

/// What comparing both sides found.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Verify {
    /// When it ended.
    pub at_ms: i64,
    /// Whether no row differed.
    pub agreed: bool,
}

/// A step of the plan that was reached.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StepRecord {
    /// Its place, from 1.
    pub step: usize,
    /// In words.
    pub text: String,
    /// When it was reached.
    pub entered_ms: i64,
    /// When its time was over and its gates had passed.
    pub passed_ms: Option<i64>,
    /// What its gates found then.
    pub evidence: Vec<Value>,
}

impl StepRecord {
    /// The gates that it passed, each with its verdict or its count, as far as that was kept.
    pub(crate) fn gates(&self) -> String {
        let gates: Vec<_> = self.evidence.iter().filter_map(gate_found).collect();
        gates.join(", ")
    }
}

/// What a gate found, by its evidence. One with two conditions has two.
fn gate_found(evidence: &Value) -> Option<String> {
    let conditions = match evidence {
        Value::Array(conditions) => conditions.as_slice(),
        one => std::slice::from_ref(one),
    };
    let name = conditions.first()?["gate"].as_str()?;
    let mut verdicts: Vec<_> = conditions
        .iter()
        .filter_map(|one| one["found"]["verdict"].as_str())
        .collect();
    verdicts.dedup();
    let count = match (evidence["have"].as_u64(), evidence["need"].as_u64()) {
        (Some(have), Some(need)) => format!(": {have} of at least {need}"),
        _ => String::new(),
    };
    let verdict = match verdicts.as_slice() {
        [] => count,
        verdicts => format!(": {}", verdicts.join(" and ").replace('-', " ")),
    };
    let is_dry_run = conditions.iter().any(|one| one["dry_run"] == true);
    let dry_run = if is_dry_run { " (dry run)" } else { "" };
    Some(format!("{name}{verdict}{dry_run}"))
}

/// What a person approved.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Approval {
    /// When.
    pub at_ms: i64,
    /// The step's place, from 1.
    pub step: usize,
    /// Who.
    pub by: String,
    /// In that person's words.
    pub note: String,
}

/// How far a stream is behind.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Lag {
    /// What the stream does.
    pub state: String,
    /// The age of the oldest change that is not applied.
    pub seconds: f64,
    /// Bytes of log that are not applied.
    pub bytes: u64,
}

/// Both streams.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Lags {
    /// From the monolith to the service.
    pub forward: Option<Lag>,
    /// From the service to the monolith.
    pub reverse: Option<Lag>,
}

impl Chapter {
    /// Of the extraction of this status, from the rows that are its.
    pub(crate) fn new(status: &ExtractionStatus, entries: &[JournalEntry]) -> Self {
        let rollout = status.rollout.as_ref();
        let lag = |stream: &Option<conductor::ports::StreamProgress>| {
            stream.as_ref().map(|stream| Lag {
                state: stream.state.clone(),
                seconds: stream.lag_seconds,
                bytes: stream.lag_bytes,
            })
        };
        let mut chapter = Self {
            name: status.name.clone(),
            phase: status.phase.clone(),
            owner: status.owner.clone(),
            reads_percent: status.reads_percent,
            trouble: status.trouble.clone(),
            lag: Lags {
                forward: lag(&status.progress.forward),
                reverse: lag(&status.progress.reverse),
            },
            gates: rollout.map(|one| one.gates.clone()).unwrap_or_default(),
            answers: rollout.and_then(|one| one.answers.clone()),
            ..Self::default()
        };
        let mut words = rollout.map(|one| one.steps.clone()).unwrap_or_default();
        let own = entries.iter().filter(|one| one.extraction == status.name);
        let mut reader = MomentReader::default();
        for entry in own {
            let recorded = entry.recorded();
            match &recorded {
                Some(RecordedEvent::Replication(event)) => chapter.life(event, entry.at_ms),
                Some(RecordedEvent::SharedData(event)) => chapter.shared(event, entry.at_ms),
                Some(RecordedEvent::Report(event)) => chapter.report(event),
                Some(RecordedEvent::Rollout(event)) => chapter.step(event, entry.at_ms, &mut words),
                _ => {}
            }
            chapter.moments.extend(reader.of(entry, recorded.as_ref()));
        }
        chapter
    }

    /// The shares of reads and of writes by now.
    fn split(&self) -> (f64, f64) {
        let last = self.shares.last();
        last.map_or((0.0, 0.0), |last| (last.reads_percent, last.writes_percent))
    }

    fn share(&mut self, at_ms: i64, reads_percent: f64, writes_percent: f64) {
        let change = ShareChange {
            at_ms,
            reads_percent,
            writes_percent,
        };
        self.shares.push(change);
    }

    fn life(&mut self, event: &Life, at_ms: i64) {
        match event {
            Life::Started { .. } => {
                self.began_ms.get_or_insert(at_ms);
                self.share(at_ms, 0.0, 0.0);
            }
            Life::ReadsShifted { reads } => {
                let (_, writes) = self.split();
                self.share(at_ms, reads.percent(), writes);
            }
            Life::Verified { result } => {
                let agreed = match result {
                    Verified::Agreed(_) => true,
                    Verified::Differed => false,
                    Verified::Never => return,
                };
                self.verifies.push(Verify { at_ms, agreed });
            }
            Life::HandoverBegan { from, .. } => self.begin(handover_word(*from), at_ms),
            Life::RehearsalBegan { .. } => self.begin(REHEARSAL, at_ms),
            Life::HandoverStepped {
                step: Step::HoldBegan { .. },
            } => {
                if let Some(handover) = self.handovers.last_mut() {
                    handover.hold_began_ms = Some(at_ms);
                }
            }
            Life::HandoverEnded { outcome, reason } => {
                self.handed_over(*outcome, reason.as_deref(), at_ms);
            }
            Life::Cancelled => self.share(at_ms, 0.0, 0.0),
            Life::Finished => self.share(at_ms, 100.0, 100.0),
            _ => {}
        }
    }

    fn begin(&mut self, kind: &str, at_ms: i64) {
        self.handovers.push(Handover {
            kind: kind.to_owned(),
            began_ms: at_ms,
            ended_ms: None,
            outcome: None,
            reason: None,
            held_ms: None,
            paused: Pause::Never.to_string(),
            hold_began_ms: None,
        });
    }

    fn handed_over(&mut self, outcome: Outcome, reason: Option<&str>, at_ms: i64) {
        let Some(handover) = self.handovers.last_mut() else {
            return;
        };
        handover.ended_ms = Some(at_ms);
        handover.reason = reason.map(str::to_owned);
        if let Some(began) = handover.hold_began_ms {
            handover.paused(Pause::AtMost(between_ms(began, at_ms)));
        }
        let is_switch = handover.kind == handover_word(Side::Monolith);
        let is_committed = outcome == Outcome::Committed;
        let word = match outcome {
            Outcome::Committed => "committed",
            // As planned.
            Outcome::Aborted if handover.kind == REHEARSAL && reason.is_none() => "rehearsed",
            Outcome::Aborted => "aborted",
        };
        handover.outcome = Some(word.to_owned());
        if is_committed {
            // Readers stay where they are: only the writes are handed over.
            let (reads, _) = self.split();
            self.share(at_ms, reads, if is_switch { 100.0 } else { 0.0 });
        }
    }

    /// What it measured is nearer than the journal's rows.
    fn report(&mut self, event: &ReportEvent) {
        let ReportEvent::Reported { of, report } = event;
        if of != "handover" {
            return;
        }
        let last = self
            .handovers
            .last_mut()
            .filter(|one| one.ended_ms.is_some());
        let report = serde_json::from_value::<HandoverStatus>(report.clone());
        if let (Some(handover), Ok(report)) = (last, report)
            && let Some(pause @ (Pause::Measured(_) | Pause::AtMost(_))) = report.pause()
        {
            handover.paused(pause);
        }
    }

    fn shared(&mut self, event: &Shared, at_ms: i64) {
        match event {
            Shared::Started { .. } => {
                self.began_ms.get_or_insert(at_ms);
                self.share(at_ms, 0.0, 0.0);
            }
            Shared::SharesSet { reads, writes, .. } => {
                self.share(at_ms, reads.percent(), writes.percent());
            }
            Shared::Cancelled { .. } => self.share(at_ms, 0.0, 0.0),
        }
    }

    fn step(&mut self, event: &Steps, at_ms: i64, words: &mut Vec<String>) {
        match event {
            Steps::Began { steps, .. } | Steps::Resumed { steps, .. } => words.clone_from(steps),
            Steps::Entered { step, at } => self.steps.push(StepRecord {
                step: step + 1,
                text: words.get(*step).cloned().unwrap_or_default(),
                entered_ms: at.0,
                passed_ms: None,
                evidence: Vec::new(),
            }),
            Steps::Passed { step, evidence } => {
                let reached = self.steps.iter_mut().rev();
                let mut reached = reached.filter(|one| one.step == step + 1);
                if let Some(reached) = reached.next() {
                    reached.passed_ms = Some(at_ms);
                    reached.evidence.clone_from(evidence);
                }
            }
            Steps::Approved { step, by, note } => self.approvals.push(Approval {
                at_ms,
                step: step + 1,
                by: by.to_string(),
                note: note.clone(),
            }),
            _ => {}
        }
    }
}

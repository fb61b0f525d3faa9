//! What the conductor knows itself.

use crate::{
    journal::{History, Journal, now_ms},
    retire::RetireHandle,
    status::{QuietStatus, RetireStatus},
    worker::Worker,
};
use plan::{AutomaticCheck, ExtractionName, Length};
use protocol::{Side, checklist::CheckResult, lifecycle, rollout};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// A verify that is older says little of now.
const VERIFY_AGE_MS: i64 = 24 * 60 * 60 * 1000;

/// Answers from the status and the journal.
pub(super) struct OwnChecks {
    pub(super) name: ExtractionName,
    pub(super) journal: Arc<Journal>,
    pub(super) workers: BTreeMap<ExtractionName, Worker>,
    pub(super) retirement: Option<RetireHandle>,
}

type Finding = (CheckResult, String);

fn passed(text: impl Into<String>) -> Finding {
    (CheckResult::Passed, text.into())
}

fn failed(text: impl Into<String>) -> Finding {
    (CheckResult::Failed, text.into())
}

impl OwnChecks {
    /// What a check finds; `None`: it is for others to make.
    pub(super) async fn check(&self, check: AutomaticCheck) -> Option<Finding> {
        Some(match check {
            AutomaticCheck::Verify => self.verify(),
            AutomaticCheck::Migrated => self.migrated(),
            AutomaticCheck::TablesUnused => self.unused(|status| status.tables),
            AutomaticCheck::RoutesUnused => self.unused(|status| status.routes),
            AutomaticCheck::RollbackRehearsed
            | AutomaticCheck::ErrorRate
            | AutomaticCheck::Latency => match self.journal.read(&self.name).await {
                Ok(history) => recorded(check, &history),
                Err(error) => failed(error.to_string()),
            },
            AutomaticCheck::Databases
            | AutomaticCheck::Secrets
            | AutomaticCheck::Health
            | AutomaticCheck::Alerts
            | AutomaticCheck::Backup => return None,
        })
    }

    fn verify(&self) -> Finding {
        let name = &self.name;
        let Some(worker) = self.workers.get(name) else {
            return failed("it is not the plan's any more");
        };
        if worker.splits_writes() {
            return passed("both sides work on the same tables: there are no two copies");
        }
        let Some(last) = worker.status().last_verify else {
            return failed(format!(
                "nothing was compared since the copy, whatever was before a recopy: `banyan verify \
                 {name}`"
            ));
        };
        let age = now_ms().saturating_sub(last.at_ms);
        if last.differences > 0 {
            return failed(format!(
                "{} rows differ: `banyan verify {name}` lists them",
                last.differences
            ));
        }
        // After `finish` there are no two sides any more.
        if age > VERIFY_AGE_MS && worker.status().phase != "finished" {
            return failed(format!(
                "the last comparison is {} hours old: `banyan verify {name}`",
                age / 3_600_000
            ));
        }
        passed(format!("{} rows compared, none differs", last.rows))
    }

    fn unused(&self, of: impl Fn(RetireStatus) -> Option<QuietStatus>) -> Finding {
        let Some(status) = self.retirement.as_ref().map(RetireHandle::status) else {
            return (
                CheckResult::Skipped,
                "both sides share the data: nobody counts here who uses them".to_owned(),
            );
        };
        if let Some(why) = status.trouble {
            return failed(why);
        }
        let wanted_ms = status.wanted_ms;
        let wanted = length(wanted_ms);
        match of(status) {
            Some(quiet) if quiet.enough => passed(format!("nobody did for {wanted}")),
            Some(quiet) => failed(format!(
                "quiet for {} of {wanted}; before that: {}",
                part(quiet.quiet_ms, wanted_ms),
                quiet.because
            )),
            None => failed("it was not looked yet"),
        }
    }

    fn migrated(&self) -> Finding {
        let has_switched = |worker: &Worker| worker.status().has_switched();
        let done = self.workers.values().filter(|worker| has_switched(worker));
        let (done, all) = (done.count(), self.workers.len());
        let text = format!("{done} of {all} extractions of the plan have switched");
        match self.workers.get(&self.name) {
            Some(worker) if has_switched(worker) => passed(text),
            _ => failed(format!("the service does not have all writes; {text}")),
        }
    }
}

/// Units of time, in milliseconds.
const UNITS_MS: [i64; 3] = [3_600_000, 60_000, 1_000];

/// How much of a length has gone by, coarsely: another text is another entry of the journal.
fn part(ms: i64, of_ms: i64) -> String {
    let fits = |unit: &&i64| of_ms >= 2 * **unit;
    let unit = UNITS_MS.iter().find(fits).copied().unwrap_or(1);
    match ms - ms % unit {
        ..=0 => format!("less than {}", length(unit)),
        whole => length(whole).to_string(),
    }
}

fn length(ms: i64) -> Length {
    Length(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
}

fn recorded(check: AutomaticCheck, history: &History) -> Finding {
    match check {
        AutomaticCheck::RollbackRehearsed if has_rolled_back(&history.replication) => {
            passed("a rollback was committed, or a hand-over rehearsed to its commit point")
        }
        AutomaticCheck::RollbackRehearsed => (
            CheckResult::Skipped,
            "the journal has no rollback and no rehearsal of it that got through: `banyan rehearse \
             --hold`. Or attest one that was made elsewhere"
                .to_owned(),
        ),
        AutomaticCheck::ErrorRate => gate_passed(&["error-rate"], &history.rollout),
        _ => gate_passed(&["p50", "p95", "p99"], &history.rollout),
    }
}

/// Whether a hand-over from the service was committed in this life, or one was rehearsed
/// up to its commit point and undone.
fn has_rolled_back(events: &[lifecycle::Event]) -> bool {
    let (mut counts, mut has) = (false, false);
    for event in events {
        match event {
            lifecycle::Event::HandoverBegan { from, .. } => counts = *from == Side::Service,
            lifecycle::Event::RehearsalBegan { .. } => counts = true,
            // Committed, or as planned: a hand-over that is aborted says why.
            lifecycle::Event::HandoverEnded { reason: None, .. } => has |= counts,
            lifecycle::Event::Cancelled => has = false,
            _ => {}
        }
    }
    has
}

/// Whether the last step that had such a gate has passed it: none passes without.
fn gate_passed(names: &[&str], events: &[rollout::Event]) -> Finding {
    let life = events
        .iter()
        .rev()
        .take_while(|event| **event != rollout::Event::Forgotten);
    for event in life {
        let rollout::Event::Passed { step, evidence } = event else {
            continue;
        };
        let mut gates = evidence.iter().flat_map(conditions);
        if gates.any(|gate| decides(gate, names)) {
            return passed(format!(
                "step {} has passed its gate on it, compared as the plan says",
                step + 1
            ));
        }
    }
    let text = format!(
        "no step has passed a gate on it ({}). Attest it with the figures, or give the plan one",
        names.join(", ")
    );
    (CheckResult::Skipped, text)
}

/// A gate of two conditions has a list of both.
fn conditions(evidence: &Value) -> Vec<&Value> {
    match evidence {
        Value::Array(all) => all.iter().flat_map(conditions).collect(),
        one => vec![one],
    }
}

fn decides(gate: &Value, names: &[&str]) -> bool {
    let name = gate["gate"].as_str().unwrap_or_default();
    names.contains(&name) && gate["dry_run"] == Value::Bool(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{Epoch, Nonce, owner::Outcome};
    use serde_json::json;

    #[test]
    fn a_rollback_counts_once_it_is_committed() {
        let nonce = Nonce(uuid::Uuid::nil());
        let began = |from| lifecycle::Event::HandoverBegan {
            epoch: Epoch(1),
            from,
            nonce,
        };
        let ended = |outcome| lifecycle::Event::HandoverEnded {
            outcome,
            reason: None,
        };
        let aborted = |reason: Option<&str>| lifecycle::Event::HandoverEnded {
            outcome: Outcome::Aborted,
            reason: reason.map(str::to_owned),
        };
        let rehearsed = lifecycle::Event::RehearsalBegan {
            epoch: Epoch(2),
            from: Side::Monolith,
            nonce,
        };
        let mut events = vec![
            began(Side::Monolith),
            ended(Outcome::Committed),
            began(Side::Service),
            aborted(Some("no time")),
            rehearsed.clone(),
            aborted(Some("a lock was held")),
        ];
        assert!(!has_rolled_back(&events));
        events.extend([began(Side::Service), ended(Outcome::Committed)]);
        assert!(has_rolled_back(&events));
        events.push(lifecycle::Event::Cancelled);
        assert!(!has_rolled_back(&events));
        events.extend([rehearsed, aborted(None)]);
        assert!(has_rolled_back(&events));
    }

    #[test]
    fn what_was_quiet_is_told_in_the_unit_of_what_is_wanted() {
        const DAY: i64 = 86_400_000;
        for (ms, of_ms, text) in [
            (3_500_000, 3 * DAY, "less than 1h"),
            (7_300_000, 3 * DAY, "2h"),
            (7_300_000, 5_400_000 * 2, "2h"),
            (65_000, 5_400_000, "1m"),
            (9_999, 20_000, "9s"),
            (0, 20_000, "less than 1s"),
            (7, 900, "7ms"),
        ] {
            assert_eq!(part(ms, of_ms), text, "{ms} of {of_ms}");
        }
        assert_eq!(length(3 * DAY).to_string(), "3d");
    }

    #[test]
    fn a_gate_without_a_say_proves_nothing() {
        let passed_by = |evidence: Value| {
            let events = [rollout::Event::Passed {
                step: 0,
                evidence: vec![evidence],
            }];
            gate_passed(&["p95", "p99"], &events).0
        };
        let gate = |name: &str, dry_run| json!({ "gate": name, "dry_run": dry_run });
        assert_eq!(passed_by(gate("p95", false)), CheckResult::Passed);
        assert_eq!(passed_by(gate("p95", true)), CheckResult::Skipped);
        assert_eq!(passed_by(gate("error-rate", false)), CheckResult::Skipped);
        let both = json!([gate("p95", true), gate("p99", false)]);
        assert_eq!(passed_by(both), CheckResult::Passed);
    }
}

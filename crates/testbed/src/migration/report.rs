//! The migration in numbers: what was expected, what was found, and what was decided.

use crate::auditor::Audit;
use crate::banyan::JournalEntry;
use crate::banyan::answers::{Handover, Rollout};
use crate::workload::{Finished, PhaseCounts};
use serde::Serialize;
use serde_json::Value;

/// The phase in which requests of documents may fail.
pub(super) const BAD_PHASE: &str = "documents bad";

/// The whole migration.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Whether all that was expected happened, and nothing was found.
    pub ok: bool,
    /// From the first process to the end of the audit.
    pub seconds: f64,
    /// What had to happen.
    pub expectations: Vec<Expectation>,
    /// Requests of all clients.
    pub requests_total: u64,
    /// Failures that nothing explains.
    pub requests_failed: u64,
    /// Requests of documents that failed while their service was bad.
    pub requests_failed_while_bad: u64,
    /// Requests that were answered with an error in front of that service.
    pub requests_made_to_fail: u64,
    /// Writes of all clients and of the background writer.
    pub writes_acknowledged: u64,
    /// Writes whose sender does not know what became of them.
    pub writes_unknown: u64,
    /// Acknowledged, but missing on some side in the end.
    pub writes_lost: u64,
    /// There more often than they were acknowledged.
    pub writes_doubled: u64,
    /// Writes of the background writer that failed otherwise than by a refusal.
    pub background_failed: u64,
    /// Reads that did not show the client's own last write.
    pub stale_reads_after_own_write: u64,
    /// Rows that the auditor compared.
    pub rows_compared: u64,
    /// Rows that `banyan verify` compared in the end.
    pub verify_rows: u64,
    /// Differences found by it or by the auditor.
    pub verify_differences: u64,
    /// The longest that a request was held.
    pub hold_ms_max: f64,
    /// People and their accounts.
    pub users: Users,
    /// What was decided without a person, and why.
    pub decisions: Vec<DecisionReport>,
    /// Every hand-over, in order.
    pub handovers: Vec<HandoverReport>,
    /// The requests of contracts and documents, phase by phase.
    pub phases: Vec<Phase>,
    /// The first problems, in words.
    pub problems: Vec<String>,
    /// All that was written down, in order.
    pub journal: Vec<JournalEntry>,
}

/// Something that had to happen.
#[derive(Debug, Clone, Serialize)]
pub struct Expectation {
    /// What.
    pub what: String,
    /// Whether it did.
    pub met: bool,
    /// What was found.
    pub found: String,
}

/// People and their accounts.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Users {
    /// Their requests.
    pub requests: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that were put off because passwords were being hashed.
    pub busy: u64,
    /// Logins.
    pub logins: u64,
    /// New accounts.
    pub registered: u64,
    /// New passwords.
    pub passwords_changed: u64,
    /// Accounts whose last password is not good at a side.
    pub passwords_wrong: u64,
}

/// A decision that no person took.
#[derive(Debug, Clone, Serialize)]
pub struct DecisionReport {
    /// Of which extraction.
    pub extraction: String,
    /// What was decided.
    pub what: &'static str,
    /// In which step.
    pub step: String,
    /// Why.
    pub why: String,
    /// How long after the service got worse it had its effect.
    pub seconds: f64,
    /// What the gates found, with the numbers that they went by: from the journal.
    pub evidence: Vec<Value>,
}

/// A hand-over of an extraction.
#[derive(Debug, Clone, Serialize)]
pub struct HandoverReport {
    /// Which.
    pub extraction: String,
    /// How it went.
    #[serde(flatten)]
    pub handover: Handover,
}

/// One phase.
#[derive(Debug, Clone, Serialize)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// How long it took.
    pub seconds: f64,
    /// Requests that began in it.
    pub requests: u64,
    /// Those that failed.
    pub failed: u64,
    /// Which share of its reads of contracts the service answered, 0 to 1.
    pub contracts_by_service: f64,
    /// Which share of its reads of documents their service answered, 0 to 1.
    pub documents_by_service: f64,
    /// Median time to a whole answer.
    pub p50_ms: f64,
    /// 19 of 20 were faster.
    pub p95_ms: f64,
}

impl From<&PhaseCounts> for Phase {
    fn from(phase: &PhaseCounts) -> Self {
        let counts = &phase.counts;
        Self {
            name: phase.name.clone(),
            seconds: rounded(phase.lasted.as_secs_f64()),
            requests: counts.requests,
            failed: counts.failed,
            contracts_by_service: rounded(counts.service_share_of_reads()),
            documents_by_service: rounded(counts.service_share_of_document_reads()),
            p50_ms: rounded(counts.p50_ms),
            p95_ms: rounded(counts.p95_ms),
        }
    }
}

impl DecisionReport {
    /// Of a rollout that has stopped.
    pub(super) fn of(extraction: &str, what: &'static str, seconds: f64, at: &Rollout) -> Self {
        Self {
            extraction: extraction.to_owned(),
            what,
            step: at.step_in_words().unwrap_or_default().to_owned(),
            why: at.why.clone().unwrap_or_default(),
            seconds: rounded(seconds),
            evidence: Vec::new(),
        }
    }

    /// What its gate found, in the words after the gate's name.
    pub(super) fn finding(&self) -> &str {
        let found = self.why.split_once("failed: ");
        found.map_or(self.why.as_str(), |(_, found)| found)
    }

    /// Takes the evidence that was written down with it: the last before the extraction
    /// stopped for this reason.
    fn take_evidence(&mut self, journal: &[JournalEntry]) {
        let own = journal
            .iter()
            .filter(|one| one.extraction == self.extraction);
        let mut latest = None;
        for entry in own {
            match entry.name() {
                "rollout-evidence" => latest = entry.event["evidence"].as_array(),
                "rollout-stopped" => {
                    let why = entry.event["why"].to_string();
                    if why.contains(self.finding()) {
                        self.evidence = latest.cloned().unwrap_or_default();
                    }
                    latest = None;
                }
                _ => {}
            }
        }
    }
}

impl Report {
    /// Notes what had to happen.
    pub(super) fn expect(&mut self, what: &str, met: bool, found: impl Into<String>) {
        self.expectations.push(Expectation {
            what: what.to_owned(),
            met,
            found: found.into(),
        });
    }

    /// Failures count as explained in the phase in which documents are bad, if they are
    /// of documents.
    pub(super) fn add_workload(&mut self, finished: &Finished) {
        let Finished {
            total,
            phases,
            failures,
            ..
        } = finished;
        let bad = phases.iter().filter(|phase| phase.name == BAD_PHASE);
        let explained = bad.map(|phase| phase.counts.document_failures).sum();
        self.requests_total += total.requests;
        self.requests_failed += total.failed - explained;
        self.requests_failed_while_bad = explained;
        self.stale_reads_after_own_write = total.stale_reads;
        let has_requests = |phase: &&PhaseCounts| phase.counts.requests > 0;
        self.phases = phases
            .iter()
            .filter(has_requests)
            .map(Phase::from)
            .collect();
        let is_unexplained = |text: &&String| !text.starts_with(BAD_PHASE);
        self.problems
            .extend(failures.iter().filter(is_unexplained).cloned());
    }

    pub(super) fn add_users(&mut self, users: Users, problems: Vec<String>, wrong: Vec<String>) {
        self.requests_total += users.requests;
        self.requests_failed += users.failed;
        self.writes_acknowledged += users.passwords_changed;
        self.writes_lost += users.passwords_wrong;
        self.problems.extend(problems);
        self.problems.extend(wrong);
        self.users = users;
    }

    pub(super) fn add_audit(&mut self, audit: &Audit) {
        self.writes_acknowledged += count(audit.acknowledged);
        self.writes_unknown += count(audit.unknown);
        self.writes_lost += count(audit.lost.len());
        self.writes_doubled += count(audit.doubled.len());
        self.verify_differences += count(audit.differences.len());
        self.rows_compared = count(audit.rows_compared);
        let problems = audit.problems();
        self.problems
            .extend(problems.into_iter().map(str::to_owned));
    }

    pub(super) fn add_handovers(&mut self, handovers: Vec<(String, Handover)>) {
        for (extraction, handover) in handovers {
            self.hold_ms_max = self.hold_ms_max.max(handover.hold_ms_max);
            self.handovers.push(HandoverReport {
                extraction,
                handover,
            });
        }
    }

    /// Takes from the journal what was decided and by what numbers, and has all of it in
    /// the report.
    pub(super) fn add_journal(&mut self, journal: Vec<JournalEntry>) {
        for decision in &mut self.decisions {
            decision.take_evidence(&journal);
        }
        let lacking = self.decisions.iter().filter(|one| one.evidence.is_empty());
        let lacking: Vec<&str> = lacking.map(|one| one.extraction.as_str()).collect();
        let found = if lacking.is_empty() {
            format!("{} entries", journal.len())
        } else {
            format!("none of {}", lacking.join(", "))
        };
        let what = "the journal has the numbers of each decision";
        self.expect(what, lacking.is_empty(), found);
        self.journal = journal;
    }

    /// Adds what is expected of every migration, and says whether all of it is so.
    pub(super) fn conclude(&mut self) {
        for (what, count) in [
            (
                "no request failed but those made to fail",
                self.requests_failed,
            ),
            ("no acknowledged write was lost", self.writes_lost),
            ("no write was doubled", self.writes_doubled),
            (
                "nobody read less than they had written",
                self.stale_reads_after_own_write,
            ),
            ("both sides hold the same rows", self.verify_differences),
            ("no background write failed", self.background_failed),
        ] {
            self.expect(what, count == 0, count.to_string());
        }
        let (seen, made) = (self.requests_failed_while_bad, self.requests_made_to_fail);
        let found = format!("{seen} seen by clients, {made} made");
        self.expect(
            "what failed was made to fail",
            seen <= made && made > 0,
            found,
        );
        self.ok = self.expectations.iter().all(|one| one.met) && self.problems.is_empty();
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Three decimals are more than any of these numbers means.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Counts;
    use serde_json::json;
    use std::time::Duration;

    fn phase(name: &str, failed: u64, document_failures: u64) -> PhaseCounts {
        PhaseCounts {
            name: name.to_owned(),
            lasted: Duration::from_secs(1),
            counts: Counts {
                requests: 100,
                failed,
                document_failures,
                ..Counts::default()
            },
        }
    }

    fn report(phases: Vec<PhaseCounts>) -> Report {
        let mut total = Counts::default();
        for phase in &phases {
            total.requests += phase.counts.requests;
            total.failed += phase.counts.failed;
        }
        let mut report = Report {
            requests_made_to_fail: 7,
            ..Report::default()
        };
        report.add_workload(&Finished {
            writes: Vec::new(),
            total,
            phases,
            failures: Vec::new(),
        });
        report.conclude();
        report
    }

    #[test]
    fn only_documents_may_fail_and_only_while_they_are_bad() {
        assert!(report(vec![phase(BAD_PHASE, 7, 7)]).ok);
        let spoilt = [
            vec![phase(BAD_PHASE, 8, 7)],
            vec![phase(BAD_PHASE, 7, 7), phase("after", 1, 1)],
            // More than were made to fail.
            vec![phase(BAD_PHASE, 8, 8)],
        ];
        for phases in spoilt {
            assert!(!report(phases.clone()).ok, "{phases:?}");
        }
    }

    #[test]
    fn the_evidence_of_a_decision_is_that_before_its_stop() {
        let entry = |event: Value| JournalEntry {
            seq: 1,
            at_ms: 0,
            extraction: "contracts".to_owned(),
            event,
            hash: String::new(),
        };
        let evidence = |n: u64| entry(json!({"event": "rollout-evidence", "evidence": [{"n": n}]}));
        let stopped = |found: &str| {
            let why = json!({"gate": {"gate": "p95", "found": found}});
            entry(json!({"event": "rollout-stopped", "why": why}))
        };
        let decided = || {
            let rollout = Rollout {
                why: Some("gate `p95` failed: slow".to_owned()),
                ..Rollout::default()
            };
            let mut report = Report::default();
            let decision = DecisionReport::of("contracts", "withdrawn", 1.0, &rollout);
            report.decisions.push(decision);
            report
        };
        let journal = vec![evidence(1), stopped("slow"), evidence(2), stopped("other")];
        let mut report = decided();
        report.add_journal(journal);
        assert_eq!(report.decisions[0].evidence, [json!({"n": 1})]);
        assert!(report.expectations[0].met);
        let mut report = decided();
        report.add_journal(vec![stopped("slow")]);
        assert!(!report.expectations[0].met);
    }

    #[test]
    fn any_finding_or_missed_expectation_makes_it_wrong() {
        let spoilt: [fn(&mut Report); 7] = [
            |report| report.writes_lost = 1,
            |report| report.writes_doubled = 1,
            |report| report.stale_reads_after_own_write = 1,
            |report| report.verify_differences = 1,
            |report| report.background_failed = 1,
            |report| report.problems.push("a problem".to_owned()),
            |report| report.expect("it rains", false, "it does not"),
        ];
        for spoil in spoilt {
            let mut report = Report {
                requests_made_to_fail: 1,
                ..Report::default()
            };
            spoil(&mut report);
            report.conclude();
            assert!(!report.ok);
        }
    }
}

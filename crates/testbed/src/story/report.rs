//! `report.json`: the story in numbers.

use crate::auditor::Audit;
use crate::banyan::answers::Handover;
use crate::workload::{Counts, PhaseCounts};
use serde::Serialize;

/// A hold above this is reported as a warning.
const HOLD_MS_WARNING: f64 = 500.0;

/// The whole story.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Requests of the workload.
    pub requests_total: u64,
    /// Status 500 and above, no answer, or a refusal that nothing explains.
    pub requests_failed: u64,
    /// Of the workload and of the background writer.
    pub writes_acknowledged: u64,
    /// Acknowledged, but missing on some side in the end.
    pub writes_lost: u64,
    /// There more often than they were acknowledged.
    pub writes_doubled: u64,
    /// Reads that did not show the client's own last write.
    pub stale_reads_after_own_write: u64,
    /// The longest that a request was held in any hand-over.
    pub hold_ms_max: f64,
    /// The middle one of the hand-overs' medians.
    pub hold_ms_p50: f64,
    /// The slowest switch.
    pub switch_ms: f64,
    /// The slowest rollback.
    pub rollback_ms: f64,
    /// Rows of the first copy.
    pub rows_copied: u64,
    /// Row changes applied by the streams of both directions.
    pub rows_followed: u64,
    /// Rows compared by the last `banyan verify`.
    pub verify_rows: u64,
    /// Differences found by any `banyan verify` or by the auditor.
    pub verify_differences: u64,
    /// Which share of all reads of contracts the service answered, 0 to 1.
    pub service_share_of_reads: f64,
    /// Step by step.
    pub phases: Vec<Phase>,
}

/// One step of the story.
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
    pub service_share_of_reads: f64,
    /// Median time to a whole answer.
    pub p50_ms: f64,
    /// 19 of 20 were faster.
    pub p95_ms: f64,
}

impl From<&PhaseCounts> for Phase {
    fn from(phase: &PhaseCounts) -> Self {
        Self {
            name: phase.name.clone(),
            seconds: rounded(phase.lasted.as_secs_f64()),
            requests: phase.counts.requests,
            failed: phase.counts.failed,
            service_share_of_reads: rounded(phase.counts.service_share_of_reads()),
            p50_ms: rounded(phase.counts.p50_ms),
            p95_ms: rounded(phase.counts.p95_ms),
        }
    }
}

impl Report {
    pub(super) fn add_workload(&mut self, total: &Counts, phases: &[PhaseCounts]) {
        self.requests_total = total.requests;
        self.requests_failed = total.failed;
        self.stale_reads_after_own_write = total.stale_reads;
        self.service_share_of_reads = rounded(total.service_share_of_reads());
        self.phases = phases.iter().map(Phase::from).collect();
    }

    pub(super) fn add_handovers(&mut self, handovers: &[Handover]) {
        let slowest = |kind: &str| {
            let of_kind = handovers.iter().filter(|handover| handover.kind == kind);
            rounded(
                of_kind
                    .map(|handover| handover.total_ms)
                    .fold(0.0, f64::max),
            )
        };
        self.switch_ms = slowest("switch");
        self.rollback_ms = slowest("rollback");
        let longest = handovers
            .iter()
            .map(|handover| handover.hold_ms_max)
            .fold(0.0, f64::max);
        self.hold_ms_max = rounded(longest);
        let mut medians: Vec<f64> = handovers
            .iter()
            .map(|handover| handover.hold_ms_p50)
            .collect();
        medians.sort_by(f64::total_cmp);
        self.hold_ms_p50 = rounded(medians.get(medians.len() / 2).copied().unwrap_or(0.0));
    }

    pub(super) fn add_audit(&mut self, audit: &Audit) {
        self.writes_acknowledged = count(audit.acknowledged);
        self.writes_lost = count(audit.lost.len());
        self.writes_doubled = count(audit.doubled.len());
        self.verify_differences += count(audit.differences.len());
    }

    /// Whether failed, lost, doubled, stale and differences are all 0.
    pub fn is_clean(&self) -> bool {
        self.requests_failed == 0
            && self.writes_lost == 0
            && self.writes_doubled == 0
            && self.stale_reads_after_own_write == 0
            && self.verify_differences == 0
    }

    /// What is not wrong but worth a look.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.hold_ms_max > HOLD_MS_WARNING {
            let held = self.hold_ms_max;
            warnings.push(format!(
                "a request was held {held:.0} ms, over {HOLD_MS_WARNING:.0} ms"
            ));
        }
        warnings
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

    #[test]
    fn has_the_fields_that_were_promised() {
        let report = serde_json::to_value(Report::default()).unwrap();
        let names: Vec<&String> = report.as_object().unwrap().keys().collect();
        for name in [
            "requests_total",
            "requests_failed",
            "writes_acknowledged",
            "writes_lost",
            "writes_doubled",
            "stale_reads_after_own_write",
            "hold_ms_max",
            "hold_ms_p50",
            "switch_ms",
            "rollback_ms",
            "rows_copied",
            "rows_followed",
            "verify_rows",
            "verify_differences",
            "service_share_of_reads",
            "phases",
        ] {
            assert!(names.iter().any(|known| *known == name), "{name}");
        }
        assert_eq!(names.len(), 16);
    }

    #[test]
    fn any_of_the_five_makes_it_unclean() {
        let clean = Report::default();
        assert!(clean.is_clean());
        let spoilt: [fn(&mut Report); 5] = [
            |report| report.requests_failed = 1,
            |report| report.writes_lost = 1,
            |report| report.writes_doubled = 1,
            |report| report.stale_reads_after_own_write = 1,
            |report| report.verify_differences = 1,
        ];
        for spoil in spoilt {
            let mut report = clean.clone();
            spoil(&mut report);
            assert!(!report.is_clean());
        }
    }
}

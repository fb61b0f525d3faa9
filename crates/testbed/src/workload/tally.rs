//! Counting requests, phase by phase.

use std::time::{Duration, Instant};

/// Failures of a phase kept in words; the rest is only counted.
const FAILURES_KEPT: usize = 20;

/// Sums over some requests.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Requests that ended, well or not.
    pub requests: u64,
    /// Status 500 and above, no answer, or a refusal that nothing explains.
    pub failed: u64,
    /// Writes that were acknowledged.
    pub writes_acknowledged: u64,
    /// Reads that did not show the client's own last write.
    pub stale_reads: u64,
    /// Reads of contracts.
    pub contract_reads: u64,
    /// Those that the service answered.
    pub contract_reads_by_service: u64,
    /// Acknowledged writes of contracts.
    pub contract_writes: u64,
    /// Those that the service answered.
    pub contract_writes_by_service: u64,
    /// Reads of documents.
    pub document_reads: u64,
    /// Those that their service answered.
    pub document_reads_by_service: u64,
    /// Requests of documents that failed.
    pub document_failures: u64,
    /// Median time to a whole answer.
    pub p50_ms: f64,
    /// 19 of 20 were faster.
    pub p95_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

impl Counts {
    /// Which share of contract reads the service answered, 0 to 1.
    pub fn service_share_of_reads(&self) -> f64 {
        share(self.contract_reads_by_service, self.contract_reads)
    }

    /// Which share of document reads their service answered, 0 to 1.
    pub fn service_share_of_document_reads(&self) -> f64 {
        share(self.document_reads_by_service, self.document_reads)
    }

    /// Failures of other requests than those of documents.
    pub fn other_failures(&self) -> u64 {
        self.failed - self.document_failures
    }

    /// The share of the acknowledged writes of contracts.
    pub fn service_share_of_writes(&self) -> f64 {
        share(self.contract_writes_by_service, self.contract_writes)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// Sums over a phase.
#[derive(Debug, Clone)]
pub struct PhaseCounts {
    /// Its name.
    pub name: String,
    /// How long it was, or has been.
    pub lasted: Duration,
    /// Its requests.
    pub counts: Counts,
}

/// What a request was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestKind {
    ReadContracts,
    WriteContracts,
    ReadDocuments,
    WriteDocuments,
    Other,
}

impl RequestKind {
    /// What a request of a path is about.
    pub fn of(path: &str, is_read: bool) -> Self {
        let is_below = |prefix| path.starts_with(prefix);
        match (is_below("/api/contracts"), is_below("/api/documents")) {
            (true, _) if is_read => Self::ReadContracts,
            (true, _) => Self::WriteContracts,
            (_, true) if is_read => Self::ReadDocuments,
            (_, true) => Self::WriteDocuments,
            (false, false) => Self::Other,
        }
    }
}

/// One request that ended.
#[derive(Debug)]
pub(super) struct Observation {
    pub phase: usize,
    pub elapsed: Duration,
    pub deed: RequestKind,
    pub by_service: bool,
    pub is_acknowledged_write: bool,
    /// What went wrong, in words.
    pub failure: Option<String>,
}

#[derive(Debug)]
struct Phase {
    name: String,
    began: Instant,
    ended: Option<Instant>,
    sums: Counts,
    latencies_ms: Vec<f64>,
    failures: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Tally {
    phases: Vec<Phase>,
}

impl Tally {
    pub fn new(first_phase: &str) -> Self {
        Self {
            phases: vec![Phase::new(first_phase)],
        }
    }

    /// Returns the index by which requests of the new phase are counted.
    pub fn begin_phase(&mut self, name: &str) -> usize {
        let now = Instant::now();
        if let Some(last) = self.phases.last_mut() {
            last.ended = Some(now);
        }
        self.phases.push(Phase::new(name));
        self.phases.len() - 1
    }

    pub fn note(&mut self, seen: Observation) {
        let Some(phase) = self.phases.get_mut(seen.phase) else {
            return;
        };
        phase.latencies_ms.push(seen.elapsed.as_secs_f64() * 1000.0);
        let sums = &mut phase.sums;
        sums.requests += 1;
        sums.failed += u64::from(seen.failure.is_some());
        sums.writes_acknowledged += u64::from(seen.is_acknowledged_write);
        let is_contract_read = seen.deed == RequestKind::ReadContracts;
        let is_contract_write =
            seen.deed == RequestKind::WriteContracts && seen.is_acknowledged_write;
        sums.contract_reads += u64::from(is_contract_read);
        sums.contract_reads_by_service += u64::from(is_contract_read && seen.by_service);
        sums.contract_writes += u64::from(is_contract_write);
        sums.contract_writes_by_service += u64::from(is_contract_write && seen.by_service);
        let is_document_read = seen.deed == RequestKind::ReadDocuments;
        let is_of_documents = is_document_read || seen.deed == RequestKind::WriteDocuments;
        sums.document_reads += u64::from(is_document_read);
        sums.document_reads_by_service += u64::from(is_document_read && seen.by_service);
        sums.document_failures += u64::from(is_of_documents && seen.failure.is_some());
        self.keep(seen.phase, seen.failure);
    }

    pub fn note_stale(&mut self, phase: usize, what: String) {
        if let Some(phase) = self.phases.get_mut(phase) {
            phase.sums.stale_reads += 1;
        }
        self.keep(phase, Some(what));
    }

    fn keep(&mut self, phase: usize, what: Option<String>) {
        if let (Some(what), Some(phase)) = (what, self.phases.get_mut(phase))
            && phase.failures.len() < FAILURES_KEPT
        {
            phase.failures.push(format!("{}: {what}", phase.name));
        }
    }

    pub fn failures(&self) -> Vec<String> {
        let all = self.phases.iter().flat_map(|phase| &phase.failures);
        all.cloned().collect()
    }

    pub fn phases(&self) -> Vec<PhaseCounts> {
        self.phases.iter().map(Phase::counts).collect()
    }

    pub fn current(&self) -> PhaseCounts {
        // There is always one: `new` makes it.
        self.phases[self.phases.len() - 1].counts()
    }

    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        let mut latencies_ms = Vec::new();
        for Phase {
            sums,
            latencies_ms: some,
            ..
        } in &self.phases
        {
            total.requests += sums.requests;
            total.failed += sums.failed;
            total.writes_acknowledged += sums.writes_acknowledged;
            total.stale_reads += sums.stale_reads;
            total.contract_reads += sums.contract_reads;
            total.contract_reads_by_service += sums.contract_reads_by_service;
            total.contract_writes += sums.contract_writes;
            total.contract_writes_by_service += sums.contract_writes_by_service;
            total.document_reads += sums.document_reads;
            total.document_reads_by_service += sums.document_reads_by_service;
            total.document_failures += sums.document_failures;
            latencies_ms.extend_from_slice(some);
        }
        set_latencies(&mut total, latencies_ms);
        total
    }
}

impl Phase {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            began: Instant::now(),
            ended: None,
            sums: Counts::default(),
            latencies_ms: Vec::new(),
            failures: Vec::new(),
        }
    }

    fn counts(&self) -> PhaseCounts {
        let mut counts = self.sums.clone();
        set_latencies(&mut counts, self.latencies_ms.clone());
        let lasted = self.ended.unwrap_or_else(Instant::now) - self.began;
        PhaseCounts {
            name: self.name.clone(),
            lasted,
            counts,
        }
    }
}

fn set_latencies(counts: &mut Counts, mut latencies_ms: Vec<f64>) {
    latencies_ms.sort_by(f64::total_cmp);
    counts.p50_ms = percentile(&latencies_ms, 50);
    counts.p95_ms = percentile(&latencies_ms, 95);
    counts.max_ms = latencies_ms.last().copied().unwrap_or(0.0);
}

/// The nearest-rank percentile of sorted values; 0 of none.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<f64> = (1..=20).map(f64::from).collect();
        assert!((percentile(&values, 50) - 10.0).abs() < f64::EPSILON);
        assert!((percentile(&values, 95) - 19.0).abs() < f64::EPSILON);
        assert!(percentile(&[], 50).abs() < f64::EPSILON);
    }

    #[test]
    fn a_request_counts_for_the_phase_in_which_it_started() {
        let mut tally = Tally::new("one");
        tally.begin_phase("two");
        let failure = Some("it broke".to_owned());
        tally.note(Observation {
            phase: 0,
            elapsed: Duration::from_millis(5),
            deed: RequestKind::ReadContracts,
            by_service: true,
            is_acknowledged_write: false,
            failure,
        });
        let phases = tally.phases();
        assert_eq!((phases[0].counts.failed, phases[1].counts.requests), (1, 0));
        assert_eq!(tally.failures(), ["one: it broke"]);
        assert!((tally.total().service_share_of_reads() - 1.0).abs() < f64::EPSILON);
    }
}

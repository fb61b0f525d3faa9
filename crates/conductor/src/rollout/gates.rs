//! The gates of the step that a rollout is in.

use super::{
    judged::{Judged, combined},
    view::compares,
};
use crate::{
    ports::{AnswerCounts, SideCounts, StreamProgress},
    status::ExtractionStatus,
};
use judge::{
    Bin, Block, Condition, Confidence, ErrorBaseline, Histogram, Judge, Moment, Reading,
    reading::Missing,
};
use plan::{GateLimit, Gates, LagLimit, Percent, Step};
use protocol::{
    Side,
    rollout::{Gate, GateKind, Position, Standing, UnixMillis, Verdict},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;

/// How long a window is in which both sides are compared.
const BLOCK_MIN: Duration = Duration::from_millis(250);
const BLOCK_MAX: Duration = Duration::from_secs(2);
/// Into how many a step's time is divided, within these bounds.
const BLOCKS: u32 = 100;

/// The gates of a step, with what they have seen; kept over a restart.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct StepGates {
    /// Of which step, and since when that is entered.
    step: Option<(usize, UnixMillis)>,
    /// The step's gates, as the judges were made by them.
    #[serde(default)]
    made_by: String,
    judges: Vec<Judged>,
    /// Length of a window, and when the one that is counted now began.
    block_ms: u64,
    began: Option<UnixMillis>,
    /// What the service has answered in this step.
    requests: u64,
    /// What the monolith did while it answered reads.
    baseline: Baseline,
}

/// What the monolith did, for when it answers nothing any more.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Baseline {
    requests: u64,
    errors: u64,
    times: Histogram,
}

impl StepGates {
    /// As they were kept.
    pub(super) fn restored(kept: Option<Self>) -> Self {
        let mut gates = kept.unwrap_or_default();
        // What was counted while nobody asked is of no known window, and what was seen
        // before says nothing of now.
        gates.began = None;
        for judged in &mut gates.judges {
            judged.observe(&Reading::Missing(Missing::Stale));
        }
        gates
    }

    /// Forgets what was seen: something else is so by now.
    pub(super) fn forget(&mut self) {
        self.step = None;
        self.judges.clear();
        self.made_by.clear();
        self.requests = 0;
        self.began = None;
    }

    /// A rollout is at this position. A step that is entered has gates of its own; until
    /// then those of the one before go on. Whether they are others than before.
    pub(super) fn enter(&mut self, position: &Position, step: &Step, standing: Standing) -> bool {
        let (Some(entered), Standing::Owned { .. }) = (position.entered, standing) else {
            return false;
        };
        let made_by = format!("{:?}", step.gates);
        if self.step == Some((position.step, entered)) && self.made_by == made_by {
            return false;
        }
        self.forget();
        self.step = Some((position.step, entered));
        self.made_by = made_by;
        let block = (step.lasts / BLOCKS).clamp(BLOCK_MIN, BLOCK_MAX);
        self.block_ms = u64::try_from(block.as_millis()).unwrap_or(u64::MAX);
        self.judges = self.made(step, standing, entered, block);
        true
    }

    fn made(
        &self,
        step: &Step,
        standing: Standing,
        entered: UnixMillis,
        block: Duration,
    ) -> Vec<Judged> {
        let versus = compares(standing);
        let Gates {
            error_rate,
            latency,
            ..
        } = &step.gates;
        let mut conditions = Vec::new();
        if let Some(limit) = error_rate {
            if let Some(max) = limit.max {
                let max = share(max);
                conditions.push(("error-rate", limit.dry_run, Condition::ErrorsAtMost { max }));
            }
            if let Some(allowed) = allowed(limit) {
                let condition = if versus {
                    Condition::ErrorsVersusMonolith { allowed }
                } else {
                    let baseline = self.baseline.errors();
                    Condition::ErrorsVersusBaseline { allowed, baseline }
                };
                conditions.push(("error-rate", limit.dry_run, condition));
            }
        }
        for (of, limit) in latency {
            let quantile = of.share();
            if let Some(max) = limit.max {
                let condition = Condition::LatencyAtMost { quantile, max };
                conditions.push((of.as_str(), limit.dry_run, condition));
            }
            if let Some(allowed) = allowed(limit) {
                let condition = if versus {
                    Condition::LatencyVersusMonolith { quantile, allowed }
                } else {
                    Condition::LatencyVersusBaseline {
                        quantile,
                        allowed,
                        baseline: self.baseline.times.clone(),
                    }
                };
                conditions.push((of.as_str(), limit.dry_run, condition));
            }
        }
        let began = moment(entered);
        let made = conditions.into_iter().map(|(name, is_dry_run, condition)| {
            let judge = Judge::new(&condition, began, block, Confidence::default());
            Judged::new(name, is_dry_run, &condition, judge)
        });
        made.collect()
    }

    /// When the window under way began; none before the first.
    pub(super) fn window_began(&self) -> Option<UnixMillis> {
        self.began
    }

    /// Whether a window has ended.
    pub(super) fn is_block_due(&self, now: UnixMillis) -> bool {
        let length = Duration::from_millis(self.block_ms);
        // A clock that was set back begins a window anew.
        let due = |began: UnixMillis| now < began || now >= began.after(length);
        self.began.is_none_or(due)
    }

    /// Takes what was counted since the last window. `is_usual`: the monolith works as it
    /// always did, and what it does is what later may be compared with.
    pub(super) fn observe(
        &mut self,
        counts: Option<SideCounts>,
        standing: Standing,
        now: UnixMillis,
        is_usual: bool,
    ) {
        let Some(began) = self.began.replace(now) else {
            // Of before the step, or before this process.
            return;
        };
        let (owner, are_shared) = match standing {
            Standing::Owned { by, writes, .. } => (by, writes.is_some()),
            _ => (Side::Monolith, false),
        };
        let Some(counts) = counts else {
            for judged in &mut self.judges {
                judged.observe(&Reading::Missing(Missing::Failed));
            }
            return;
        };
        if is_usual && owner == Side::Monolith {
            self.baseline.add(&counts.monolith);
        }
        let block = |service, monolith| {
            Reading::Value(Block {
                began: moment(began),
                ended: moment(now),
                service,
                monolith,
            })
        };
        let reads = (
            counted(&counts.service.reads),
            counted(&counts.monolith.reads),
        );
        let (mut service, mut monolith) = reads.clone();
        // The writes of both sides are of the same clients where they are split, too;
        // where they have an owner, they are the service's alone.
        if are_shared || owner == Side::Service {
            add(&mut service, &counts.service.writes);
        }
        if are_shared {
            add(&mut monolith, &counts.monolith.writes);
        }
        self.requests += service.requests();
        let (reads, all) = (block(reads.0, reads.1), block(service, monolith));
        for judged in &mut self.judges {
            // What is compared with holds reads only.
            judged.observe(if judged.is_of_baseline() {
                &reads
            } else {
                &all
            });
        }
    }

    /// What all gates of a step say now.
    pub(super) fn judge(
        &self,
        step: &Step,
        status: &ExtractionStatus,
        standing: Standing,
        now: UnixMillis,
    ) -> Vec<Gate> {
        let mut gates = combined(&self.judges);
        let Gates {
            lag,
            requests,
            window,
            ..
        } = &step.gates;
        if let Some(limit) = lag {
            gates.push(lag_gate(*limit, status, standing));
        }
        if let Some(needed) = requests {
            let (have, need) = (self.requests, u64::from(*needed));
            let verdict = if have >= need {
                Verdict::Pass
            } else {
                Verdict::NeedMore
            };
            let text = format!("{have} of {need} requests");
            let evidence = json!({ "gate": "requests", "have": have, "need": need });
            gates.push(gate("requests", GateKind::Enough, verdict, text, evidence));
        }
        if let Some(window) = window {
            let is_in = window.has(now.0);
            let (verdict, text) = if is_in {
                (Verdict::Pass, "it is open")
            } else {
                (Verdict::Fail, "steps begin in the plan's window only")
            };
            let evidence = json!({ "gate": "window", "at": now.0, "open": is_in });
            gates.push(gate(
                "window",
                GateKind::Begin,
                verdict,
                text.to_owned(),
                evidence,
            ));
        }
        gates
    }
}

impl Baseline {
    fn add(&mut self, counts: &AnswerCounts) {
        for cell in &counts.reads {
            self.requests += u64::from(cell.requests);
            self.errors += u64::from(cell.errors);
            for (bin, times) in &cell.bins {
                self.times.add(Bin::new(*bin), *times);
            }
        }
    }

    fn errors(&self) -> ErrorBaseline {
        ErrorBaseline {
            requests: self.requests,
            errors: self.errors,
        }
    }
}

fn share(percent: Percent) -> f64 {
    f64::from(percent.basis_points()) / f64::from(Percent::STEPS)
}

fn allowed<T>(limit: &GateLimit<T>) -> Option<f64> {
    limit
        .versus_monolith
        .map(|points| f64::from(points) / f64::from(Percent::STEPS))
}

fn moment(at: UnixMillis) -> Moment {
    Moment::from_millis(u64::try_from(at.0).unwrap_or(0))
}

fn counted(cells: &[crate::ports::CellCounts]) -> judge::Side {
    let mut side = judge::Side::default();
    add(&mut side, cells);
    side
}

fn add(side: &mut judge::Side, cells: &[crate::ports::CellCounts]) {
    for (hash, counts) in (0..).zip(cells) {
        let cell = side.cell(hash);
        cell.requests = cell.requests.saturating_add(counts.requests);
        cell.errors = cell.errors.saturating_add(counts.errors);
        for (bin, times) in &counts.bins {
            cell.times.add(Bin::new(*bin), *times);
        }
    }
}

fn gate(
    name: &str,
    kind: GateKind,
    verdict: Verdict,
    text: String,
    evidence: serde_json::Value,
) -> Gate {
    Gate {
        name: name.to_owned(),
        kind,
        is_dry_run: false,
        verdict,
        text,
        evidence,
    }
}

/// How far the side that does not own is behind. A stream that is not there or not well
/// says nothing of that, and so passes nothing.
fn lag_gate(limit: LagLimit, status: &ExtractionStatus, standing: Standing) -> Gate {
    let stream = match standing {
        Standing::Owned {
            by: Side::Service, ..
        } => status.progress.reverse.as_ref(),
        _ => status.progress.forward.as_ref(),
    };
    let is_well = |stream: &&StreamProgress| stream.state == "applying" && stream.trouble.is_none();
    let Some(stream) = stream.filter(is_well) else {
        let text = "the stream to the other side is not applying".to_owned();
        let evidence = json!({ "gate": "lag", "stream": stream.map(|one| &one.state) });
        return gate("lag", GateKind::Begin, Verdict::Unknown, text, evidence);
    };
    let (seconds, bytes) = (stream.lag_seconds, stream.lag_bytes);
    let is_young = limit
        .age
        .is_none_or(|age| seconds.is_finite() && seconds <= age.as_secs_f64());
    let is_short = limit.bytes.is_none_or(|most| bytes <= most.0);
    let verdict = if is_young && is_short {
        Verdict::Pass
    } else {
        Verdict::Fail
    };
    let evidence = json!({
        "gate": "lag", "seconds": seconds, "bytes": bytes,
        "max_seconds": limit.age.map(|age| age.as_secs_f64()),
        "max_bytes": limit.bytes.map(|most| most.0),
    });
    let text = format!("the other side is {seconds:.1} s and {bytes} bytes behind");
    gate("lag", GateKind::Begin, verdict, text, evidence)
}

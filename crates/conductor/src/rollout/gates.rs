//! The gates of the step that a rollout is in.

use super::{
    guarding::Guarding,
    judged::{Judged, combined},
    status_gates,
    step_clock::StepClock,
    view::compares,
};
use crate::{
    ports::{AnswerCounts, SideCounts},
    status::ExtractionStatus,
};
use judge::{
    Bin, Block, Condition, Confidence, ErrorBaseline, Histogram, Judge, Moment, Reading,
    reading::Missing,
};
use plan::{GateLimit, Gates, Percent, Step};
use protocol::{
    Side,
    rollout::{Gate, Position, Standing, UnixMillis},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::Instant;

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
    /// The step's limits, as the judges were made by them.
    #[serde(default)]
    limits: Vec<JudgedLimit>,
    judges: Vec<Judged>,
    /// For how long the step was seen to last.
    #[serde(default)]
    clock: StepClock,
    /// Length of a window, and when the one that is counted now began.
    block_ms: u64,
    began: Option<UnixMillis>,
    /// What the service has answered in this step.
    requests: u64,
    /// What the monolith did while it answered reads.
    baseline: Baseline,
}

/// A limit of the plan's that is judged by what both sides answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct JudgedLimit {
    name: String,
    /// In hundredths of a percent, or in milliseconds.
    max: Option<u64>,
    /// More than the monolith's, in hundredths of a percent of that.
    versus_monolith: Option<u32>,
    is_dry_run: bool,
}

/// What the monolith did, for when it answers nothing any more.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Baseline {
    requests: u64,
    errors: u64,
    times: Histogram,
    /// Over how long that was counted.
    #[serde(default)]
    millis: u64,
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
        self.limits.clear();
        self.clock = StepClock::default();
        self.requests = 0;
        self.began = None;
    }

    /// The gates of this step protect what is so. Whether they are others than before.
    pub(super) fn enter(&mut self, guarding: &Guarding, step: &Step, standing: Standing) -> bool {
        let limits = limits(&step.gates);
        let same = self.limits == limits;
        if !matches!(standing, Standing::Owned { .. }) || guarding.goes_on(self.step, same) {
            return false;
        }
        let is_known = self.step == Some(guarding.step);
        // Other limits do not begin the step anew.
        let clock = std::mem::take(&mut self.clock);
        self.forget();
        if is_known {
            self.clock = clock;
        }
        self.step = Some(guarding.step);
        self.limits = limits;
        let block = (step.lasts / BLOCKS).clamp(BLOCK_MIN, BLOCK_MAX);
        self.block_ms = u64::try_from(block.as_millis()).unwrap_or(u64::MAX);
        self.judges = self.made(step, standing, guarding.step.1, block);
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
                let max = max.fraction();
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

    /// The moment that the step is at: the calendar's, and no later than it was seen to
    /// last, so that a clock that is set forward ends no step.
    pub(super) fn step_moment(
        &mut self,
        position: &Position,
        now: UnixMillis,
        instant: Instant,
    ) -> UnixMillis {
        match position.entered {
            Some(entered) if self.step == Some((position.step, entered)) => {
                self.clock.tick(instant);
                now.min(entered.after(self.clock.lasted()))
            }
            // It begins.
            Some(entered) => now.min(entered),
            None => now,
        }
    }

    /// How many reads the monolith had in a second, as far as it was counted.
    pub(super) fn stored_reads(&self) -> Option<f64> {
        let seconds = Duration::from_millis(self.baseline.millis).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "counts below 2^52")]
        let requests = self.baseline.requests as f64;
        (requests > 0.0 && seconds > 0.0).then(|| requests / seconds)
    }

    /// Whether a window has ended.
    pub(super) fn is_block_due(&self, now: UnixMillis) -> bool {
        let length = match self.block_ms {
            // No step has been entered yet.
            0 => BLOCK_MAX,
            millis => Duration::from_millis(millis),
        };
        // A clock that was set back begins a window anew.
        let due = |began: UnixMillis| now < began || now >= began.after(length);
        self.began.is_none_or(due)
    }

    /// Takes what was counted since the last window. `is_usual`: the monolith works as it
    /// always did, and what it does is what later may be compared with.
    pub(super) fn observe(
        &mut self,
        counts: Option<&SideCounts>,
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
            let length = moment(now).since(moment(began));
            self.baseline.add(&counts.monolith, length);
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
        } = step.gates;
        gates.extend(lag.map(|limit| status_gates::lag(limit, status, standing)));
        gates.extend(requests.map(|need| status_gates::requests(self.requests, need.into())));
        gates.extend(window.map(|window| status_gates::window(window, now)));
        gates
    }
}

impl Baseline {
    fn add(&mut self, counts: &AnswerCounts, length: Duration) {
        let millis = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        self.millis = self.millis.saturating_add(millis);
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

/// The step's limits that are judged by what both sides answer.
fn limits(gates: &Gates) -> Vec<JudgedLimit> {
    let errors = gates.error_rate.iter().map(|limit| JudgedLimit {
        name: "error-rate".to_owned(),
        max: limit.max.map(|max| u64::from(max.basis_points())),
        versus_monolith: limit.versus_monolith,
        is_dry_run: limit.dry_run,
    });
    let times = gates.latency.iter().map(|(of, limit)| JudgedLimit {
        name: of.as_str().to_owned(),
        max: limit
            .max
            .map(|max| u64::try_from(max.as_millis()).unwrap_or(u64::MAX)),
        versus_monolith: limit.versus_monolith,
        is_dry_run: limit.dry_run,
    });
    errors.chain(times).collect()
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

#[cfg(test)]
mod tests {
    use super::{super::recorded::Recorded, *};
    use plan::StepDoes;
    use protocol::rollout::Verdict;
    use serde_json::json;

    const ENTERED: UnixMillis = UnixMillis(1_000_000);

    fn present(position: &Position) -> Guarding {
        Guarding::of(position, &Recorded::default()).unwrap()
    }

    /// In a step of a day that was just entered.
    fn entered() -> (StepGates, Position) {
        let position = Position {
            step: 0,
            entered: Some(ENTERED),
            permitted: None,
            is_approved: false,
            is_resumed: false,
        };
        let step = Step {
            does: StepDoes::Reads(Percent::parse("5%").unwrap()),
            lasts: Duration::from_hours(24),
            approval: None,
            checklist: Vec::new(),
            gates: Gates::default(),
        };
        let standing = Standing::Owned {
            by: Side::Monolith,
            reads: Percent::parse("5%").unwrap(),
            writes: None,
        };
        let mut gates = StepGates::default();
        assert!(gates.enter(&present(&position), &step, standing));
        assert!(!gates.enter(&present(&position), &step, standing));
        (gates, position)
    }

    #[test]
    fn a_clock_that_jumps_ends_no_step_early() {
        let (mut gates, position) = entered();
        let hour = Duration::from_hours(1);
        let (mut now, mut instant) = (ENTERED, Instant::now());
        let mut hours = |gates: &mut StepGates, count: u32, jump: i64| {
            instant += hour * count;
            now = UnixMillis(now.after(hour * count).0 + jump);
            gates.step_moment(&position, now, instant)
        };
        let is = |moment: UnixMillis, hours: u32| moment == ENTERED.after(hour * hours);
        assert!(hours(&mut gates, 0, 0) == ENTERED);
        assert!(is(hours(&mut gates, 2, 0), 2));
        // It is set forward by a day: three hours are three hours.
        assert!(is(hours(&mut gates, 1, 24 * 3_600_000), 3));
        // It is set back by two days: a moment before the step.
        assert!(hours(&mut gates, 1, -48 * 3_600_000) < ENTERED);
        // And right again.
        assert!(is(hours(&mut gates, 1, 24 * 3_600_000), 5));
    }

    #[test]
    fn what_is_kept_goes_on_and_other_limits_begin_anew() {
        let (gates, position) = entered();
        let kept = serde_json::to_string(&gates).unwrap();
        let restored = StepGates::restored(serde_json::from_str(&kept).unwrap());
        assert_eq!(restored.step, Some((0, ENTERED)));
        let mut step = Step {
            does: StepDoes::Switch,
            lasts: Duration::ZERO,
            approval: None,
            checklist: Vec::new(),
            gates: Gates::default(),
        };
        let standing = Standing::Owned {
            by: Side::Monolith,
            reads: Percent::ALL,
            writes: None,
        };
        let mut gates = restored;
        gates.clock.tick(Instant::now());
        assert!(!gates.enter(&present(&position), &step, standing));
        step.gates.error_rate = Some(GateLimit {
            max: None,
            versus_monolith: Some(1_000),
            dry_run: false,
        });
        assert!(gates.enter(&present(&position), &step, standing));
        // Nothing was counted of the monolith, and that does not go by itself.
        let said = combined(&gates.judges);
        assert_eq!(said[0].verdict, Verdict::Unknown);
        assert!(
            said[0].text.contains("give the gate `max`"),
            "{}",
            said[0].text
        );
        let with = said[0].evidence["compared_with"].clone();
        assert_eq!(with, "what was stored of the monolith");
    }

    /// What was kept by the version before is of no use to a judge, and its baseline is.
    #[test]
    fn the_baseline_of_an_earlier_version_is_kept() {
        let kept = json!({
            "step": [0, 5], "made_by": "Gates { .. }", "judges": [], "block_ms": 250,
            "began": null, "requests": 7,
            "baseline": { "requests": 100, "errors": 1, "times": Histogram::default() },
        });
        let gates: StepGates = serde_json::from_value(kept).unwrap();
        assert_eq!(gates.baseline.requests, 100);
        assert_eq!(gates.stored_reads(), None, "over an unknown time");
    }
}

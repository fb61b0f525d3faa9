//! Gates on how much traffic there is: whether what is expected reaches the service, and
//! how many compared reads differ.
//!
//! Both count in batches: as soon as there is enough to say something, it is a reading, and
//! the next batch begins. So what was long ago weighs nothing, and what is mended passes.

use super::{
    guarding::Guarding,
    readings::{NextReading, ReadingGate, ReadingRule},
};
use crate::ports::{AnswerCounts, ShadowCounts, SideCounts};
use judge::{
    Limit, Missing, Moment, Reading,
    reading::{Freshness, Sample, increase, number},
};
use plan::{OnFail, Percent, ShadowLimit, Step, Throughput};
use protocol::{
    Side,
    rollout::{Gate, GateKind, Standing, UnixMillis},
};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// So many requests must be the least of a batch: that a service which gets twice as many
/// has so few by chance has a probability below one in a million.
const ENOUGH: f64 = 50.0;

/// One batch may be chance, or a burst of one client.
const TOLERATED: u32 = 2;

/// A batch that takes so much longer than the one before says that traffic has ceased.
const SLOWER: u32 = 10;
const SILENT_MIN: Duration = Duration::from_mins(1);

/// How far apart two samples of the comparisons may be.
const GAP: Duration = Duration::from_mins(1);

/// The gates of a step; nothing of them outlasts the process.
#[derive(Debug, Default)]
pub(super) struct TrafficGates {
    /// Of which step, and since when that is entered.
    step: Option<(usize, UnixMillis)>,
    throughput: Option<ThroughputGate>,
    shadow: Option<ShadowGate>,
}

/// What is expected of a window, and by what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Expectation {
    pub(super) requests: f64,
    pub(super) by: &'static str,
}

impl TrafficGates {
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The gates of this step protect what is so.
    pub(super) fn enter(&mut self, guarding: &Guarding, step: &Step, standing: Standing) {
        let same = self.throughput.as_ref().map(|one| one.limit) == step.gates.throughput
            && self.shadow.as_ref().map(|one| one.limit) == step.gates.shadow;
        if !matches!(standing, Standing::Owned { .. }) || guarding.goes_on(self.step, same) {
            return;
        }
        let (now, entered) = (Instant::now(), guarding.step.1);
        self.step = Some(guarding.step);
        let throughput = step.gates.throughput;
        self.throughput = throughput.map(|limit| ThroughputGate::new(limit, now));
        let shadow = step.gates.shadow;
        self.shadow = shadow.map(|limit| ShadowGate::new(limit, entered, now));
    }

    /// A window has ended. `expected`: of the service's reads; `None`: nothing to say that
    /// by.
    pub(super) fn observe(
        &mut self,
        (counts, expected): (Option<&SideCounts>, Option<Expectation>),
        shadow: Option<ShadowCounts>,
        now: UnixMillis,
    ) {
        let instant = Instant::now();
        if let Some(gate) = &mut self.throughput {
            let window = counts.map(|counts| reads(&counts.service)).zip(expected);
            gate.observe(window, now, instant);
        }
        if let Some(gate) = &mut self.shadow {
            gate.observe(shadow, now, instant);
        }
    }

    pub(super) fn gates(&self) -> impl Iterator<Item = Gate> {
        let now = Instant::now();
        let throughput = self.throughput.iter().map(|one| &one.readings);
        let shadow = self.shadow.iter().map(|one| &one.readings);
        throughput.chain(shadow).map(move |one| one.gate(now))
    }
}

/// How many of the service's reads are expected in a window: its share of all in the same
/// window, or what the monolith had of them before (`stored`, in a second).
pub(super) fn expectation(
    counts: Option<&SideCounts>,
    standing: Standing,
    window: Duration,
    stored: Option<f64>,
) -> Option<Expectation> {
    let Standing::Owned {
        by, reads: share, ..
    } = standing
    else {
        return None;
    };
    if by == Side::Monolith && share < Percent::ALL {
        let counts = counts?;
        let all = reads(&counts.service) + reads(&counts.monolith);
        let share = share.fraction();
        return Some(Expectation {
            requests: all * share,
            by: "by its share of all in the same windows",
        });
    }
    Some(Expectation {
        requests: stored? * window.as_secs_f64(),
        by: "by what the monolith had before",
    })
}

fn reads(counts: &AnswerCounts) -> f64 {
    let all: u64 = counts
        .reads
        .iter()
        .map(|cell| u64::from(cell.requests))
        .sum();
    #[expect(clippy::cast_precision_loss, reason = "of a window")]
    let all = all as f64;
    all
}

/// Whether the service gets what its share lets expect.
#[derive(Debug)]
struct ThroughputGate {
    limit: Throughput,
    readings: ReadingGate,
    came: f64,
    expected: f64,
    began: Instant,
    /// How long the last batch took.
    took: Option<Duration>,
}

impl ThroughputGate {
    fn new(limit: Throughput, now: Instant) -> Self {
        let rule = ReadingRule {
            name: "throughput".to_owned(),
            kind: kind(limit.on_fail),
            is_dry_run: limit.dry_run,
            limit: Limit::AtLeast(limit.min.fraction()),
            tolerated: TOLERATED,
            unmeasured_max: None,
            place: "the gateway".to_owned(),
            source: json!({ "reads of the service, of those expected": limit.min.to_string() }),
        };
        Self {
            limit,
            readings: ReadingGate::new(rule, now),
            came: 0.0,
            expected: 0.0,
            began: now,
            took: None,
        }
    }

    fn observe(&mut self, window: Option<(f64, Expectation)>, at: UnixMillis, now: Instant) {
        let at = moment(at);
        let missing = |text: String| NextReading {
            at,
            value: Reading::Missing(Missing::Failed),
            text: Some(text),
        };
        let Some((came, expected)) = window else {
            let text = "nothing was counted that says how many requests to expect";
            self.readings.observe(missing(text.to_owned()), now);
            return;
        };
        self.came += came;
        self.expected += expected.requests;
        let length = now - self.began;
        if self.expected * self.limit.min.fraction() >= ENOUGH {
            let reading = NextReading {
                at,
                value: number(self.came / self.expected),
                text: Some(format!(
                    "{} of {:.0} reads that are expected {}, and {} is the least",
                    self.came, self.expected, expected.by, self.limit.min
                )),
            };
            self.readings.observe(reading, now);
            (self.came, self.expected) = (0.0, 0.0);
            (self.began, self.took) = (now, Some(length));
            return;
        }
        let patience = self.took.map(|took| (took * SLOWER).max(SILENT_MIN));
        if patience.is_some_and(|patience| length > patience) {
            let text = format!(
                "{:.0} reads were expected in the last {} s: too few to say",
                self.expected,
                length.as_secs()
            );
            self.readings.observe(missing(text), now);
        }
        let enough = ENOUGH / self.limit.min.fraction();
        self.readings.gathers(format!(
            "{:.0} of {enough:.0} expected reads",
            self.expected
        ));
    }
}

/// Whether compared reads agree.
#[derive(Debug)]
struct ShadowGate {
    limit: ShadowLimit,
    readings: ReadingGate,
    began: Moment,
    last: Option<(Moment, ShadowCounts)>,
    compared: f64,
    differing: f64,
}

impl ShadowGate {
    fn new(limit: ShadowLimit, entered: UnixMillis, now: Instant) -> Self {
        let rule = ReadingRule {
            name: "shadow".to_owned(),
            kind: kind(limit.on_fail),
            is_dry_run: limit.dry_run,
            limit: Limit::AtMost(limit.max.fraction()),
            tolerated: 0,
            unmeasured_max: None,
            place: "the gateway's comparison".to_owned(),
            source: json!({ "compared at a time": limit.compared }),
        };
        Self {
            limit,
            readings: ReadingGate::new(rule, now),
            began: moment(entered),
            last: None,
            compared: 0.0,
            differing: 0.0,
        }
    }

    fn observe(&mut self, counts: Option<ShadowCounts>, at: UnixMillis, now: Instant) {
        let at = moment(at);
        let missing = |why: Missing, text: Option<&str>| NextReading {
            at,
            value: Reading::Missing(why),
            text: text.map(str::to_owned),
        };
        let Some(counts) = counts else {
            self.last = None;
            let text = "no reads are copied: the plan's `shadow` has no share";
            self.readings
                .observe(missing(Missing::Failed, Some(text)), now);
            return;
        };
        let Some((earlier_at, earlier)) = self.last.replace((at, counts)) else {
            self.gathers();
            return;
        };
        let fresh = Freshness {
            began: self.began,
            now: at,
            max_age: GAP,
        };
        let gained = |of: fn(ShadowCounts) -> u64| {
            let sample = |at, counts| Sample {
                at,
                value: count(of(counts)),
            };
            increase(sample(earlier_at, earlier), sample(at, counts), &fresh)
        };
        let (compared, differing) = match (gained(|one| one.compared), gained(|one| one.differing))
        {
            (Reading::Value(compared), Reading::Value(differing)) => (compared, differing),
            // Two looks at once, or the first of the step.
            (Reading::Missing(Missing::Stale | Missing::BeforeStep), _) => return,
            (Reading::Missing(why), _) | (_, Reading::Missing(why)) => {
                (self.compared, self.differing) = (0.0, 0.0);
                self.readings.observe(missing(why, None), now);
                return;
            }
        };
        self.compared += compared;
        self.differing += differing;
        let wanted = f64::from(self.limit.compared);
        // More than may differ of so many do already.
        let is_over = self.differing > wanted * self.limit.max.fraction();
        if self.compared >= wanted || is_over {
            let of = self.compared.max(wanted);
            let reading = NextReading {
                at,
                value: number(self.differing / of),
                text: Some(format!(
                    "{} of {} compared reads differ, and {} may",
                    self.differing, self.compared, self.limit.max
                )),
            };
            self.readings.observe(reading, now);
            (self.compared, self.differing) = (0.0, 0.0);
        }
        self.gathers();
    }

    fn gathers(&mut self) {
        let text = format!(
            "{} of {} compared reads",
            self.compared, self.limit.compared
        );
        self.readings.gathers(text);
    }
}

fn kind(on_fail: OnFail) -> GateKind {
    match on_fail {
        OnFail::Undo => GateKind::Harm,
        OnFail::Wait => GateKind::Enough,
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts below 2^52")]
fn count(count: u64) -> f64 {
    count as f64
}

fn moment(at: UnixMillis) -> Moment {
    Moment::from_millis(u64::try_from(at.0).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::rollout::Verdict;

    const WINDOW: Duration = Duration::from_secs(1);

    fn throughput() -> ThroughputGate {
        let limit = Throughput {
            min: Percent::parse("50%").unwrap(),
            on_fail: OnFail::Wait,
            dry_run: false,
        };
        ThroughputGate::new(limit, Instant::now())
    }

    struct Clocked {
        gate: ThroughputGate,
        zero: Instant,
    }

    /// Seconds in which so many came of so many that were expected.
    fn seconds(gate: &mut Clocked, range: std::ops::Range<u32>, came: f64, requests: f64) -> Gate {
        let zero = gate.zero;
        let mut now = zero;
        for second in range {
            now = zero + WINDOW * second;
            let expected = Expectation {
                requests,
                by: "by its share",
            };
            let at = UnixMillis(i64::from(second) * 1000);
            gate.gate.observe(Some((came, expected)), at, now);
        }
        gate.gate.readings.gate(now)
    }

    #[test]
    fn traffic_that_stops_half_way_is_no_pass_and_comes_back() {
        let mut gate = Clocked {
            gate: throughput(),
            zero: Instant::now(),
        };
        assert_eq!(
            seconds(&mut gate, 1..5, 10.0, 10.0).verdict,
            Verdict::NeedMore
        );
        assert_eq!(seconds(&mut gate, 5..60, 10.0, 10.0).verdict, Verdict::Pass);
        // A hundred requests, then none.
        let soon = seconds(&mut gate, 60..75, 0.0, 10.0);
        assert_eq!(soon.verdict, Verdict::NeedMore, "{}", soon.text);
        let stopped = seconds(&mut gate, 75..120, 0.0, 10.0);
        assert_eq!(stopped.verdict, Verdict::Fail);
        assert!(
            stopped.text.starts_with("0 of 100 reads that are expected"),
            "{}",
            stopped.text
        );
        assert_eq!(
            seconds(&mut gate, 120..180, 9.0, 10.0).verdict,
            Verdict::Pass
        );
        // Nobody asks anybody anything any more.
        let silent = seconds(&mut gate, 180..400, 0.0, 0.0);
        assert_eq!(silent.verdict, Verdict::Unknown);
        assert!(silent.text.contains("too few to say"), "{}", silent.text);
    }

    #[test]
    fn what_is_expected_is_of_the_same_window_else_of_before_and_says_so() {
        let cell = |requests| crate::ports::CellCounts {
            requests,
            ..Default::default()
        };
        let side = |requests| AnswerCounts {
            reads: vec![cell(requests)],
            writes: Vec::new(),
        };
        let counts = SideCounts {
            monolith: side(950),
            service: side(50),
        };
        let owned = |by, reads: &str| Standing::Owned {
            by,
            reads: Percent::parse(reads).unwrap(),
            writes: None,
        };
        let of = |standing, stored| {
            let window = Duration::from_secs(2);
            let found = expectation(Some(&counts), standing, window, stored)?;
            Some((found.requests.round(), found.by.contains("same windows")))
        };
        assert_eq!(of(owned(Side::Monolith, "5%"), None), Some((50.0, true)));
        assert_eq!(
            of(owned(Side::Monolith, "100%"), Some(7.0)),
            Some((14.0, false))
        );
        assert_eq!(
            of(owned(Side::Service, "50%"), Some(7.0)),
            Some((14.0, false))
        );
        assert_eq!(of(owned(Side::Service, "100%"), None), None);
        assert_eq!(of(Standing::HandingOver, Some(7.0)), None);
        let mut gate = throughput();
        gate.observe(None, UnixMillis(1), Instant::now());
        assert_eq!(gate.readings.gate(Instant::now()).verdict, Verdict::Unknown);
    }

    fn shadow(on_fail: OnFail) -> ShadowGate {
        let limit = ShadowLimit {
            max: Percent::parse("1%").unwrap(),
            compared: 1000,
            on_fail,
            dry_run: false,
        };
        ShadowGate::new(limit, UnixMillis(0), Instant::now())
    }

    #[test]
    fn differences_are_of_the_last_so_many_and_mended_ones_pass() {
        let mut gate = shadow(OnFail::Wait);
        let mut see = |second: i64, compared, differing| {
            let counts = ShadowCounts {
                compared,
                differing,
            };
            gate.observe(Some(counts), UnixMillis(second * 1000), Instant::now());
            gate.readings.gate(Instant::now())
        };
        // What was compared before the step does not count.
        assert_eq!(see(1, 5_000, 500).verdict, Verdict::NeedMore);
        let gathers = see(2, 5_999, 509);
        assert_eq!(
            (gathers.verdict, gathers.text.as_str()),
            (Verdict::NeedMore, "999 of 1000 compared reads")
        );
        assert_eq!(see(3, 6_000, 510).verdict, Verdict::Pass);
        // Eleven of a thousand are too many whatever comes.
        let over = see(4, 6_050, 521);
        assert_eq!(
            (over.verdict, over.text.as_str()),
            (Verdict::Fail, "11 of 50 compared reads differ, and 1% may")
        );
        assert_eq!(see(5, 7_049, 521).verdict, Verdict::Fail);
        assert_eq!(see(6, 7_050, 521).verdict, Verdict::Pass);
        // The gateway began anew, and nobody looked for long.
        let reset = see(7, 100, 0);
        assert!(
            reset.verdict == Verdict::Unknown && reset.text.contains("reset"),
            "{reset:?}"
        );
        let gap = see(99, 2_000, 0);
        assert!(
            gap.verdict == Verdict::Unknown && gap.text.contains("in between"),
            "{gap:?}"
        );
        assert_eq!(see(100, 2_999, 0).verdict, Verdict::Unknown);
        assert_eq!(see(101, 3_000, 0).verdict, Verdict::Pass);
    }

    #[test]
    fn what_copies_nothing_passes_nothing_and_undo_stays() {
        let mut gate = shadow(OnFail::Undo);
        gate.observe(None, UnixMillis(1), Instant::now());
        let none = gate.readings.gate(Instant::now());
        assert!(none.verdict == Verdict::Unknown && none.text.contains("no reads are copied"));
        for (second, compared, differing) in [(1, 0, 0), (2, 1_000, 900), (3, 9_000, 900)] {
            let counts = ShadowCounts {
                compared,
                differing,
            };
            gate.observe(Some(counts), UnixMillis(second * 1000), Instant::now());
        }
        let failed = gate.readings.gate(Instant::now());
        assert_eq!(
            (failed.kind, failed.verdict),
            (GateKind::Harm, Verdict::Fail)
        );
    }
}

//! Drawn steps without a difference: looking at each minute raises no alarm,
//! where a test for one look, which takes requests to be independent, does.

use crate::draw::{Difference, Level, Step};
use judge::{Block, Condition, Confidence, Judge, Moment, Reading, Side, Verdict};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

const LEVEL: Level = Level {
    name: "1.5/s, 50 % of 500 clients",
    requests_per_second: 1.5,
    share: 0.5,
    clients: 500,
    block: BLOCK,
};
const BLOCK: Duration = Duration::from_mins(1);
const DRAWS: u64 = 300;
const MINUTES: u64 = 6 * 60;
/// Two gates may fail once in 400 steps each. More than six of 300 would come by
/// chance once in 2,000 times, if they failed as often as they may.
const MOST_FALSE_ALARMS: usize = 6;
/// One of a hundred, for a test that is looked at once.
const DEVIATIONS: f64 = 2.326;

/// Sums of what one side did: of errors, and of times by bin.
#[derive(Default)]
struct Sums {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Sums {
    fn add(&mut self, value: f64, times: f64) {
        self.count += times;
        self.sum += value * times;
        self.squares += value * value * times;
    }

    fn mean(&self) -> f64 {
        self.sum / self.count
    }

    fn variance_of_mean(&self) -> f64 {
        (self.squares / self.count - self.mean().powi(2)) / self.count
    }
}

/// Whether the service's mean is above the monolith's for a test for one look.
fn naive([service, monolith]: &[Sums; 2]) -> bool {
    // Its rule of thumb for small counts.
    if service.sum.abs() < 5.0 || monolith.sum.abs() < 5.0 {
        return false;
    }
    let variance = service.variance_of_mean() + monolith.variance_of_mean();
    service.mean() - monolith.mean() > DEVIATIONS * variance.sqrt()
}

fn add(errors: &mut [Sums; 2], times: &mut [Sums; 2], block: &Block) {
    for (at, side) in [&block.service, &block.monolith].into_iter().enumerate() {
        for cell in side.cells() {
            errors[at].add(1.0, f64::from(cell.errors));
            errors[at].add(0.0, f64::from(cell.requests - cell.errors));
            for (bin, count) in cell.times.bins() {
                times[at].add(f64::from(bin.number()), f64::from(count));
            }
        }
    }
}

/// Whether each of the two gates failed, and each of the two naive tests.
fn draw(seed: u64, difference: Difference) -> ([bool; 2], [bool; 2]) {
    let conditions = [
        Condition::ErrorsVersusMonolith { allowed: 0.0 },
        Condition::LatencyVersusMonolith {
            quantile: 0.95,
            allowed: 0.0,
        },
    ];
    let began = Moment::from_millis(0);
    let mut gates = conditions.map(|condition| {
        Judge::new(&condition, began, BLOCK, Confidence::default()).expect("can be judged")
    });
    let (mut errors, mut times) = (<[Sums; 2]>::default(), <[Sums; 2]>::default());
    let mut alarms = [false; 2];
    let mut step = Step::new(&LEVEL, difference, seed);
    for _ in 0..MINUTES {
        let block = step.block();
        for gate in &mut gates {
            gate.observe(&block);
        }
        if let Reading::Value(block) = &block {
            add(&mut errors, &mut times, block);
        }
        alarms[0] |= naive(&errors);
        alarms[1] |= naive(&times);
    }
    let failed = gates.map(|gate| matches!(gate.verdict(), Verdict::Fail { .. }));
    (failed, alarms)
}

#[test]
fn looking_at_each_minute_raises_no_alarm() {
    let mut failed = [0; 2];
    let mut alarms = [0; 2];
    for seed in 0..DRAWS {
        let (gates, naive) = draw(seed, Difference::NONE);
        for at in 0..2 {
            failed[at] += usize::from(gates[at]);
            alarms[at] += usize::from(naive[at]);
        }
    }
    assert!(
        failed.iter().sum::<usize>() <= MOST_FALSE_ALARMS,
        "{failed:?}"
    );
    // The same draws catch a test that is not made for them.
    assert!(
        alarms.iter().all(|alarms| *alarms > 2 * MOST_FALSE_ALARMS),
        "{alarms:?}"
    );
}

/// Where half of the requests fail and a block has two of each side, errors are
/// anything but rare.
#[test]
fn frequent_errors_in_small_blocks_raise_no_alarm() {
    let condition = Condition::ErrorsVersusMonolith { allowed: 0.0 };
    let mut failed = 0;
    for seed in 0..DRAWS {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let began = Moment::from_millis(0);
        let confidence = Confidence::default();
        let mut gate = Judge::new(&condition, began, BLOCK, confidence).expect("can be judged");
        for minute in 0..1000 {
            let mut sides = [Side::default(), Side::default()];
            for side in &mut sides {
                for _ in 0..2 {
                    let cell = side.cell(random.random());
                    cell.requests += 1;
                    cell.errors += random.random_range(0..2);
                }
            }
            let [service, monolith] = sides;
            gate.observe(&Reading::Value(Block {
                began: Moment::from_millis(minute * 60_000),
                ended: Moment::from_millis((minute + 1) * 60_000),
                service,
                monolith,
            }));
        }
        failed += usize::from(matches!(gate.verdict(), Verdict::Fail { .. }));
    }
    assert!(failed <= MOST_FALSE_ALARMS / 2, "{failed}");
}

#[test]
fn a_difference_is_found_in_the_same_draws() {
    let different = Difference {
        errors: 20.0,
        latency: 2.0,
    };
    for seed in 0..20 {
        let (gates, _) = draw(seed, different);
        assert_eq!(gates, [true, true], "seed {seed}");
    }
}

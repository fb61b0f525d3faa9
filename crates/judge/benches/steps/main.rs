//! `./x bench judge`: how often gates err, over drawn steps of 24 hours.
//!
//! What is drawn is in `draw`. The gates of a step are looked at after each of
//! its blocks. Steps without a difference are judged with no increase
//! allowed, where each false alarm that can be shows, and beside it with 10 %
//! allowed, as plans have it, for when they pass; those with a difference with 10 %
//! allowed, which makes it harder to be found.

mod draw;
mod report;

use draw::{Difference, Level, MINUTES_PER_DAY, Step};
use judge::{Condition, Confidence, Judge, Moment, Reading, Verdict};
use report::{Case, Decision, Outcome, Report};
use std::{
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const MINUTE: Duration = Duration::from_mins(1);

const LEVELS: [Level; 5] = [
    Level {
        name: "2/s, 25 % of 1,000 clients",
        requests_per_second: 2.0,
        share: 0.25,
        clients: 1_000,
        block: MINUTE,
    },
    Level {
        name: "20/s, 5 % of 10,000 clients",
        requests_per_second: 20.0,
        share: 0.05,
        clients: 10_000,
        block: MINUTE,
    },
    Level {
        name: "20/s, 50 % of 10,000 clients",
        requests_per_second: 20.0,
        share: 0.5,
        clients: 10_000,
        block: MINUTE,
    },
    Level {
        name: "50/s, 25 % of 25,000 clients",
        requests_per_second: 50.0,
        share: 0.25,
        clients: 25_000,
        block: MINUTE,
    },
    Level {
        name: "20/s, 50 %, blocks of 10 s",
        requests_per_second: 20.0,
        share: 0.5,
        clients: 10_000,
        block: Duration::from_secs(10),
    },
];
/// The level whose 24 hours have the stated sizes.
const STATED: usize = 2;

/// Draws of each level and case, in percent of those of the stated level.
const PERCENT: [u64; 5] = [50, 30, 100, 10, 20];

/// Allowed in plans.
const ALLOWED: f64 = 0.1;
/// The draws have 0.12 % where there is no difference.
const MAX_ERRORS: f64 = 0.002;

/// Gates of blocks of one length.
struct Gates(Duration);

impl Gates {
    fn judge(&self, condition: &Condition) -> Judge {
        let began = Moment::from_millis(0);
        let judge = Judge::new(condition, began, self.0, Confidence::default());
        judge.expect("this condition can be judged")
    }

    fn errors(&self, allowed: f64) -> Judge {
        self.judge(&Condition::ErrorsVersusMonolith { allowed })
    }

    fn p95(&self, allowed: f64) -> Judge {
        let quantile = 0.95;
        self.judge(&Condition::LatencyVersusMonolith { quantile, allowed })
    }

    /// Those that may fail, and those that are to pass.
    fn of(&self, case: Case) -> (Difference, Vec<Judge>, Vec<Judge>) {
        let none = Difference::NONE;
        match case {
            Case::NoDifference => {
                let limit = self.judge(&Condition::ErrorsAtMost { max: MAX_ERRORS });
                let strict = vec![self.errors(0.0), self.p95(0.0), limit];
                (none, strict, vec![self.errors(ALLOWED), self.p95(ALLOWED)])
            }
            Case::ErrorsTwice => {
                let twice = Difference {
                    errors: 2.0,
                    ..none
                };
                (twice, vec![self.errors(ALLOWED)], Vec::new())
            }
            Case::QuarterSlower => {
                let latency = 1.25;
                let slower = Difference { latency, ..none };
                (slower, vec![self.p95(ALLOWED)], Vec::new())
            }
        }
    }
}

/// One step of 24 hours, or until a gate fails.
fn draw_step(case: Case, level: &Level, seed: u64) -> Outcome {
    let (difference, mut strict, mut usual) = Gates(level.block).of(case);
    let mut step = Step::new(level, difference, seed);
    let mut outcome = Outcome::default();
    let mut requests = 0;
    let day = MINUTE * u32::try_from(MINUTES_PER_DAY).unwrap_or(u32::MAX);
    let blocks = day.as_secs() / level.block.as_secs();
    for at in 1..=blocks {
        let block = step.block();
        if let Reading::Value(block) = &block {
            requests += block.service.requests();
        }
        let minute = (at * level.block.as_secs()).div_ceil(60);
        let now = Decision { minute, requests };
        let look = |judge: &mut Judge| {
            judge.observe(&block);
            judge.verdict()
        };
        let strict: Vec<Verdict> = strict.iter_mut().map(look).collect();
        let usual: Vec<Verdict> = usual.iter_mut().map(look).collect();
        let passing = if usual.is_empty() { &strict } else { &usual };
        outcome.passes = passing.iter().all(|at| matches!(at, Verdict::Pass { .. }));
        if outcome.passes {
            outcome.passed.get_or_insert(now);
        }
        let fails = |at: &&Verdict| matches!(at, Verdict::Fail { .. });
        if let Some(verdict) = strict.iter().find(fails) {
            if case == Case::NoDifference {
                eprintln!("{}, seed {seed}, minute {minute}: {verdict:?}", level.name);
            }
            outcome.failed = Some(now);
            break;
        }
    }
    outcome
}

/// All draws of a case at a level, on all cores.
fn draw(case: Case, level: &Level, seeds: std::ops::Range<u64>) -> Vec<Outcome> {
    let next = AtomicU64::new(seeds.start);
    let outcomes = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = draw_step(case, level, seed);
                    let mut all = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
                    all.push(outcome);
                }
            });
        }
    });
    outcomes
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
}

/// What was asked for.
struct Arguments {
    draws: u64,
    seed: u64,
    json: bool,
}

impl Arguments {
    fn parse() -> Option<Self> {
        let mut parsed = Self {
            draws: 300,
            seed: 0,
            json: false,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--draws" => parsed.draws = arguments.next()?.parse().ok()?,
                "--seed" => parsed.seed = arguments.next()?.parse().ok()?,
                "--json" => parsed.json = true,
                // Cargo's own.
                "--bench" => {}
                _ => return None,
            }
        }
        Some(parsed)
    }
}

fn main() -> ExitCode {
    let Some(arguments) = Arguments::parse() else {
        eprintln!("Usage: steps [--draws N] [--seed N] [--json]");
        return ExitCode::from(2);
    };
    let mut report = Report::default();
    for case in Case::ALL {
        for (at, level) in LEVELS.iter().enumerate() {
            let draws = (arguments.draws * PERCENT[at]).div_ceil(100);
            let seeds = arguments.seed..arguments.seed.saturating_add(draws);
            let outcomes = draw(case, level, seeds);
            let row = report.add(case, level.name, at == STATED, &outcomes);
            if !arguments.json {
                println!("{row}");
            }
        }
    }
    println!("{}", report.json());
    ExitCode::SUCCESS
}

//! `./x bench judge`: how often gates err, over drawn steps of 24 hours.
//!
//! What is drawn is in `draw`. The gates of a step are looked at after each of
//! its 1,440 minutes. Steps without a difference are judged with no increase
//! allowed, where each false alarm that can be shows, and beside it with 10 %
//! allowed, as plans have it, for when they pass; those with a difference with 10 %
//! allowed, which makes it harder to be found.

mod draw;
mod report;

use draw::{BLOCK, BLOCKS_PER_DAY, Difference, Level, Step};
use judge::{Condition, Confidence, Judge, Moment, Reading, Verdict};
use report::{Case, Decision, Outcome, Report};
use std::{
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

const LEVELS: [Level; 4] = [
    Level {
        name: "2/s, 25 % of 1,000 clients",
        requests_per_second: 2.0,
        share: 0.25,
        clients: 1_000,
    },
    Level {
        name: "20/s, 5 % of 10,000 clients",
        requests_per_second: 20.0,
        share: 0.05,
        clients: 10_000,
    },
    Level {
        name: "20/s, 50 % of 10,000 clients",
        requests_per_second: 20.0,
        share: 0.5,
        clients: 10_000,
    },
    Level {
        name: "50/s, 25 % of 25,000 clients",
        requests_per_second: 50.0,
        share: 0.25,
        clients: 25_000,
    },
];
/// The level whose 24 hours have the stated sizes.
const STATED: usize = 2;

/// Draws of each level and case, in percent of those of the stated level.
const PERCENT: [u64; 4] = [50, 30, 100, 10];

/// Allowed in plans.
const ALLOWED: f64 = 0.1;
/// The draws have 0.12 % where there is no difference.
const MAX_ERRORS: f64 = 0.002;

fn judge(condition: &Condition) -> Judge {
    let began = Moment::from_millis(0);
    let judge = Judge::new(condition, began, BLOCK, Confidence::default());
    judge.expect("this condition can be judged")
}

fn errors(allowed: f64) -> Judge {
    judge(&Condition::ErrorsVersusMonolith { allowed })
}

fn p95(allowed: f64) -> Judge {
    let quantile = 0.95;
    judge(&Condition::LatencyVersusMonolith { quantile, allowed })
}

/// The gates that may fail, and those that are to pass.
fn gates(case: Case) -> (Difference, Vec<Judge>, Vec<Judge>) {
    let none = Difference::NONE;
    match case {
        Case::NoDifference => {
            let limit = judge(&Condition::ErrorsAtMost { max: MAX_ERRORS });
            let strict = vec![errors(0.0), p95(0.0), limit];
            (none, strict, vec![errors(ALLOWED), p95(ALLOWED)])
        }
        Case::ErrorsTwice => {
            let twice = Difference {
                errors: 2.0,
                ..none
            };
            (twice, vec![errors(ALLOWED)], Vec::new())
        }
        Case::QuarterSlower => {
            let latency = 1.25;
            let slower = Difference { latency, ..none };
            (slower, vec![p95(ALLOWED)], Vec::new())
        }
    }
}

/// One step of 24 hours, or until a gate fails.
fn draw_step(case: Case, level: &Level, seed: u64) -> Outcome {
    let (difference, mut strict, mut usual) = gates(case);
    let mut step = Step::new(level, difference, seed);
    let mut outcome = Outcome::default();
    let mut requests = 0;
    for minute in 1..=BLOCKS_PER_DAY {
        let block = step.block();
        if let Reading::Value(block) = &block {
            requests += block.service.requests();
        }
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
        if strict.iter().any(|at| matches!(at, Verdict::Fail { .. })) {
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

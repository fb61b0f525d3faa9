//! Goes through schedules, many at once, and makes one that fails smaller.

use crate::{
    bug::Bug,
    dice::{Schedule, drawn},
    moves::Move,
    quiet::Summary,
    world::World,
};
use std::{
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

const GATEWAYS: usize = 3;

/// Seeds that one thread takes at a time.
const BATCH: u64 = 100;

/// Goes through a schedule, and lets everything come to rest.
pub fn play(schedule: &Schedule, bug: Option<Bug>) -> Result<Summary, String> {
    let mut world = World::new(GATEWAYS, schedule.steps, bug);
    let smooth = schedule.climate.is_smooth();
    for one in &schedule.moves {
        world.make(*one);
        if let Some(finding) = &world.auditor.finding {
            return Err(finding.clone());
        }
        if smooth && world.auditor.refused_by_fence > 0 {
            return Err("a request was refused by a fence".to_owned());
        }
    }
    let lost = |one: &Move| {
        matches!(
            one,
            Move::Crash {
                journal_lost: true,
                ..
            }
        )
    };
    let helps = schedule.climate.second() || schedule.moves.iter().any(lost);
    world.comes_to_rest(helps)
}

/// A schedule that failed.
#[derive(Debug, Clone)]
pub struct Failure {
    pub seed: u64,
    pub finding: String,
}

/// The seeds in order until one fails, or all. With `threads`, each seed before the one
/// that failed was gone through.
pub fn search(
    seeds: Range<u64>,
    threads: usize,
    bug: Option<Bug>,
    progress: impl Fn(u64) + Sync,
) -> Result<Summary, Failure> {
    let next = AtomicU64::new(seeds.start);
    let done = AtomicU64::new(0);
    let total = Mutex::new((Summary::default(), None::<Failure>));
    let work = || {
        let mut summary = Summary::default();
        let mut failure: Option<Failure> = None;
        while failure.is_none() {
            let first = next.fetch_add(BATCH, Ordering::Relaxed);
            if first >= seeds.end {
                break;
            }
            for seed in first..seeds.end.min(first + BATCH) {
                match play(&drawn(seed), bug) {
                    Ok(one) => summary.add(&one),
                    Err(finding) => {
                        failure = Some(Failure { seed, finding });
                        next.store(seeds.end, Ordering::Relaxed);
                        break;
                    }
                }
            }
            progress(done.fetch_add(BATCH, Ordering::Relaxed) + BATCH);
        }
        let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
        total.0.add(&summary);
        let earlier = |known: &Failure| failure.as_ref().is_some_and(|one| one.seed < known.seed);
        if total.1.as_ref().is_none_or(earlier) && failure.is_some() {
            total.1 = failure;
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    match total.into_inner().unwrap_or_else(PoisonError::into_inner) {
        (summary, None) => Ok(summary),
        (_, Some(failure)) => Err(failure),
    }
}

/// The smallest part of a seed's schedule that still fails, as far as leaving out parts
/// of it leads, and what it fails with.
pub fn smallest(seed: u64, bug: Option<Bug>) -> Option<(Vec<Move>, String)> {
    let mut schedule = drawn(seed);
    let mut finding = play(&schedule, bug).err()?;
    let mut size = schedule.moves.len() / 2;
    while size > 0 {
        let mut from = 0;
        let before = schedule.moves.len();
        while from < schedule.moves.len() {
            let mut fewer = schedule.clone();
            let until = fewer.moves.len().min(from + size);
            fewer.moves.drain(from..until);
            match play(&fewer, bug) {
                Err(still) => (schedule, finding) = (fewer, still),
                Ok(_) => from += size,
            }
        }
        // What was needed before may not be any more.
        if size > 1 || schedule.moves.len() == before {
            size /= 2;
        }
    }
    Some((schedule.moves, finding))
}

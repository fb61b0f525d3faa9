//! What people saw.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many problems are kept.
const PROBLEMS_MAX: usize = 20;

/// What all of them saw.
#[derive(Debug, Default)]
pub(super) struct VisitRecord {
    /// Banyan was killed: answers may be missing.
    pub is_crashing: AtomicBool,
    pub is_over: AtomicBool,
    counts: Mutex<VisitCounts>,
}

/// What they saw, in numbers.
#[derive(Debug, Default, Clone)]
pub struct VisitCounts {
    /// Requests that ended, well or not.
    pub requests: u64,
    /// Good answers of either side, by what was asked.
    pub by_side: BTreeMap<(&'static str, String), u64>,
    /// Answers that a crash kept from them.
    pub lost: u64,
    /// Refusals because the machine had too many passwords to hash; nothing was done.
    pub busy: u64,
    /// Names whose registration was not answered with success: they may be there.
    pub unsure: Vec<String>,
    /// Requests that failed.
    pub failed: u64,
    /// The first of them, in words.
    pub problems: Vec<String>,
}

impl VisitCounts {
    /// Good answers to what was asked.
    pub fn of(&self, what: &str) -> u64 {
        let all = self.by_side.iter();
        all.filter(|((one, _), _)| *one == what)
            .map(|(_, count)| count)
            .sum()
    }

    /// The service's share of what is split.
    pub fn share(&self, since: &Self) -> f64 {
        let count = |side: &str| {
            let read = |what: &str| {
                let key = (what_is(what), side.to_owned());
                self.by_side.get(&key).unwrap_or(&0) - since.by_side.get(&key).unwrap_or(&0)
            };
            let split: u64 = ["login", "me", "refresh"].map(read).iter().sum();
            u32::try_from(split).map_or(f64::MAX, f64::from)
        };
        count("service") / (count("service") + count("monolith")).max(1.0)
    }
}

fn what_is(what: &str) -> &'static str {
    ["login", "me", "refresh"]
        .into_iter()
        .find(|one| *one == what)
        .unwrap_or_default()
}

impl VisitRecord {
    pub fn counts(&self) -> VisitCounts {
        self.lock().clone()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, VisitCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn problem(&self, text: String) {
        let mut counts = self.lock();
        counts.failed += 1;
        if counts.problems.len() < PROBLEMS_MAX {
            counts.problems.push(text);
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

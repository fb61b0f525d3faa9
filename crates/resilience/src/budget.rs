//! The budget that keeps repeats from becoming a storm.

use std::time::Instant;

use crate::share::Share;

/// Repeats are counted in parts of one, as fine as shares are.
const WHOLE: u64 = Share::WHOLE_BASIS_POINTS as u64;

/// A number of repeats, or a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Repeats {
    parts: u64,
}

impl Repeats {
    /// So many whole ones.
    pub const fn new(count: u32) -> Self {
        Self {
            parts: count as u64 * WHOLE,
        }
    }

    /// The part of each of `count` that share them; of none, all.
    #[must_use]
    pub const fn divided_by(self, count: usize) -> Self {
        let count = if count == 0 { 1 } else { count as u64 };
        Self {
            parts: self.parts / count,
        }
    }
}

/// What fills a budget, and how far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deposits {
    /// What each request adds, of one repeat.
    pub per_request: Share,
    /// What time adds.
    pub per_second: Repeats,
    /// What may be saved up: a burst of this size does no harm.
    pub saved_max: Repeats,
}

/// A token bucket: each request puts a share of a repeat in, time puts a few
/// in, each repeat takes a whole one out (as Finagle's `RetryBudget`).
#[derive(Debug)]
pub struct Budget {
    deposits: Deposits,
    saved: u64,
    /// Up to when what time adds is in.
    filled: Instant,
}

impl Budget {
    /// One that begins with some repeats saved.
    pub fn new(deposits: Deposits, saved: Repeats, now: Instant) -> Self {
        Self {
            deposits,
            saved: saved.parts,
            filled: now,
        }
    }

    /// A request comes.
    pub fn deposit(&mut self) {
        self.put(u64::from(self.deposits.per_request.basis_points()));
    }

    /// Takes a repeat, where there is one.
    pub fn withdraw(&mut self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.filled);
        let parts = u128::from(self.deposits.per_second.parts) * since.as_millis() / 1000;
        if parts > 0 {
            self.filled = now;
            self.put(u64::try_from(parts).unwrap_or(u64::MAX));
        }
        match self.saved.checked_sub(WHOLE) {
            Some(left) => {
                self.saved = left;
                true
            }
            None => false,
        }
    }

    fn put(&mut self, parts: u64) {
        let most = self.deposits.saved_max.parts;
        self.saved = self.saved.saturating_add(parts).min(most);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_time_repeats_are_a_share_of_requests() {
        let now = Instant::now();
        let deposits = Deposits {
            per_request: Share::from_basis_points(1_000),
            per_second: Repeats::default(),
            saved_max: Repeats::new(10),
        };
        let mut budget = Budget::new(deposits, Repeats::new(10), now);
        let later = now + Duration::from_hours(1);
        let mut taken = |requests: u32| {
            for _ in 0..requests {
                budget.deposit();
            }
            (0..100).filter(|_| budget.withdraw(later)).count()
        };
        assert_eq!(taken(0), 10);
        assert_eq!(taken(95), 9);
        assert_eq!(taken(100_000), 10);
    }

    proptest! {
        /// Of requests that all want repeats, only the share and what time adds
        /// gets them.
        #[test]
        fn repeats_stay_a_share(
            steps in prop::collection::vec((1_u32..50, 0_u64..3000), 1..60),
            of in 1_usize..4,
        ) {
            let now = Instant::now();
            let (mut requests, mut repeats, mut millis) = (0_u64, 0_u64, 0);
            let per_second = Repeats::new(2).divided_by(of);
            let deposits = Deposits {
                per_request: Share::from_basis_points(2_000),
                per_second,
                saved_max: Repeats::new(100),
            };
            let mut budget = Budget::new(deposits, per_second, now);
            for (burst, wait) in steps {
                for _ in 0..burst {
                    budget.deposit();
                    requests += 1;
                    repeats += u64::from(budget.withdraw(now + Duration::from_millis(millis)));
                }
                millis += wait;
            }
            let timely = 2 * (1000 + millis) / (1000 * of as u64) + 1;
            prop_assert!(repeats <= requests / 5 + timely, "{} of {}", repeats, requests);
            prop_assert!(repeats >= (requests / 5).saturating_sub(1));
        }
    }
}

//! How long to wait before the next try, and when to give up. Pure.

use std::time::Duration;

/// Tries grow apart by doubling, up to a longest wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first failure.
    pub first: Duration,
    /// No wait is longer.
    pub longest: Duration,
    /// So many tries in all; at least one.
    pub attempts: u32,
}

impl Backoff {
    /// The wait after `attempts` tries have failed; none if there is no next
    /// one. Whoever waits takes half to all of it, by chance, so that those who
    /// failed together do not come back together.
    pub fn after(&self, attempts: u32) -> Option<Duration> {
        if attempts >= self.attempts {
            return None;
        }
        let doublings = attempts.saturating_sub(1).min(31);
        Some(self.first.saturating_mul(1 << doublings).min(self.longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn waits_grow_to_the_longest_and_end(first in 1u64..10_000, longest in 1u64..10_000_000, attempts in 1u32..200) {
            let backoff = Backoff {
                first: Duration::from_millis(first),
                longest: Duration::from_millis(longest),
                attempts,
            };
            let waits: Vec<_> = (1..attempts).map(|n| backoff.after(n).unwrap()).collect();
            prop_assert!(waits.is_sorted());
            prop_assert!(waits.iter().all(|wait| *wait <= backoff.longest));
            prop_assert_eq!(backoff.after(attempts), None);
            if attempts > 30 {
                prop_assert_eq!(waits[29], backoff.longest);
            }
        }
    }
}

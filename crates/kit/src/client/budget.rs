//! How many repeats there may be: each request earns a part of one.

use parking_lot::Mutex;

/// A request earns a tenth of a repeat: of ten requests one is repeated.
const EARNED: u32 = 1;
const COST: u32 = 10;
/// Saved up at most, and there at the start: few requests may fail at once
/// without anything wrong.
const MOST: u32 = 10 * COST;

#[derive(Debug)]
pub(super) struct Budget(Mutex<u32>);

impl Default for Budget {
    fn default() -> Self {
        Self(Mutex::new(MOST))
    }
}

impl Budget {
    pub(super) fn earn(&self) {
        let mut saved = self.0.lock();
        *saved = (*saved + EARNED).min(MOST);
    }

    /// Whether there is one left, which is taken.
    pub(super) fn take(&self) -> bool {
        let mut saved = self.0.lock();
        let is_enough = *saved >= COST;
        if is_enough {
            *saved -= COST;
        }
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_a_tenth_of_requests() {
        let budget = Budget::default();
        let taken = |times| (0..times).filter(|_| budget.take()).count();
        assert_eq!(taken(100), 10);
        for _ in 0..95 {
            budget.earn();
        }
        assert_eq!(taken(100), 9);
        for _ in 0..100_000 {
            budget.earn();
        }
        assert_eq!(taken(100), 10);
    }
}

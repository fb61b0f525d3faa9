//! Random numbers without cryptographic strength: which instance, how long a
//! wait.

use std::cell::Cell;

/// A generator (splitmix64), one per worker or task; no lock, no system call.
#[derive(Debug)]
pub(crate) struct Random(Cell<u64>);

impl Random {
    /// With a seed from the operating system.
    pub(crate) fn new() -> Self {
        Self::seeded(uuid::Uuid::new_v4().as_u64_pair().1)
    }

    pub(crate) fn seeded(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    pub(crate) fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_its_sequence() {
        // The reference's first outputs (Vigna, splitmix64.c) for seed 0.
        let random = Random::seeded(0);
        assert_eq!(random.next(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(random.next(), 0x6E78_9E6A_A1B9_65F4);
    }
}

//! Chance that can be had again: the seed is printed, and can be given.

use rand::{SeedableRng, rngs::StdRng};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

const VARIABLE: &str = "BANYAN_CASE_SEED";

static SEED: LazyLock<u64> = LazyLock::new(|| {
    let seed = match std::env::var(VARIABLE) {
        Ok(text) => text.parse().expect("BANYAN_CASE_SEED is a number"),
        Err(_) => rand::random(),
    };
    println!("{VARIABLE}={seed}");
    seed
});

/// A generator for one of those who draw in a case.
pub(crate) fn generator(who: &str) -> StdRng {
    let mut hasher = DefaultHasher::new();
    who.hash(&mut hasher);
    StdRng::seed_from_u64(*SEED ^ hasher.finish())
}

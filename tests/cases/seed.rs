//! Chance that can be had again: the seed is printed, and can be given.

use rand::{SeedableRng, rngs::StdRng};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

const VARIABLE: &str = "BANYAN_CASE_SEED";

static SEED: LazyLock<u64> = LazyLock::new(|| {
    let given = std::env::var(VARIABLE).ok();
    let seed = given.and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(rand::random);
    println!("{VARIABLE}={seed}");
    seed
});

/// A generator for one of those who draw in a case.
pub(crate) fn generator(who: &str) -> StdRng {
    let mut hasher = DefaultHasher::new();
    who.hash(&mut hasher);
    StdRng::seed_from_u64(*SEED ^ hasher.finish())
}

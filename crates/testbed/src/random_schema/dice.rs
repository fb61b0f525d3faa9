//! Dice that fall the same for the same seed.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The dice.
pub type Dice = ChaCha8Rng;

/// Dice of a seed, and of a number that tells several of one seed apart.
pub fn dice(seed: u64, stream: u64) -> Dice {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    dice.set_stream(stream);
    dice
}

//! Which of several instances gets a request: `resilience`'s choice of two,
//! with the plan's panic threshold.

pub(crate) use resilience::balance::Tried;

use super::breaker::share;
use plan::Percent;
use resilience::balance::two_choices;

/// Chooses one of `count` instances, at least one. One that was tried is
/// chosen again only where all were.
pub(crate) fn choose(
    count: usize,
    tried: Tried,
    panic: Percent,
    random: u64,
    usable: impl Fn(usize) -> bool,
    load: impl Fn(usize) -> u32,
) -> usize {
    two_choices(count, tried, share(panic), random, usable, load)
}

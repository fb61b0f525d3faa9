//! Which of several instances gets a request: of two drawn at random the one
//! with fewer requests in flight ("power of two choices", Mitzenmacher 2001).
//! Instances known to be bad are left out, unless that leaves too few: then
//! what is known is more likely wrong, and all are used (Envoy's "panic").

use plan::Percent;

/// Instances that a request has been sent to already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tried(u64);

impl Tried {
    pub(crate) fn add(&mut self, instance: usize) {
        // More than 64 are refused by the plan.
        self.0 |= 1 << (instance % 64);
    }

    fn has(self, instance: usize) -> bool {
        self.0 & (1 << (instance % 64)) != 0
    }
}

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
    if count <= 1 {
        return 0;
    }
    let good = (0..count).filter(|at| usable(*at)).count();
    let threshold = count * usize::from(panic.basis_points());
    let panics = good == 0 || good * usize::from(Percent::STEPS) < threshold;
    let wanted = |at: usize| (panics || usable(at)) && !tried.has(at);
    let untried = |at: usize| !tried.has(at);
    of_two(count, random, wanted, &load)
        .or_else(|| of_two(count, random, untried, &load))
        .or_else(|| of_two(count, random, |at| panics || usable(at), &load))
        .unwrap_or(0)
}

fn of_two(
    count: usize,
    random: u64,
    candidate: impl Fn(usize) -> bool,
    load: impl Fn(usize) -> u32,
) -> Option<usize> {
    let candidates = || (0..count).filter(|at| candidate(*at));
    let number = candidates().count();
    let draw = |bits: u64, of: usize| usize::try_from(bits % of as u64).unwrap_or(0);
    match number {
        0 => None,
        1 => candidates().next(),
        _ => {
            let one = draw(random >> 32, number);
            let other = draw(random & 0xFFFF_FFFF, number - 1);
            // Two different ones, each pair as likely as the others.
            let other = if other >= one { other + 1 } else { other };
            let (one, other) = (candidates().nth(one)?, candidates().nth(other)?);
            Some(if load(other) < load(one) { other } else { one })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HALF: u16 = 5_000;

    fn pick(random: u64, tried: Tried, usable: &[bool], load: &[u32]) -> usize {
        let panic = Percent::from_basis_points(HALF).unwrap();
        choose(
            usable.len(),
            tried,
            panic,
            random,
            |at| usable[at],
            |at| load[at],
        )
    }

    #[test]
    fn the_lighter_of_two_is_chosen() {
        for random in [0, 1, u64::MAX, 7 << 32] {
            assert_eq!(pick(random, Tried::default(), &[true; 2], &[5, 1]), 1);
            assert_eq!(pick(random, Tried::default(), &[true], &[5]), 0);
        }
    }

    #[test]
    fn what_was_tried_comes_last() {
        let mut tried = Tried::default();
        tried.add(1);
        assert_eq!(pick(3, tried, &[true; 2], &[9, 0]), 0);
        // The other one is not usable, but the only one left.
        assert_eq!(pick(3, tried, &[false, true], &[9, 0]), 0);
        tried.add(0);
        assert_eq!(pick(3, tried, &[true; 2], &[9, 0]), 1);
    }

    proptest! {
        #[test]
        fn the_bad_are_used_only_in_panic(
            usable in prop::collection::vec(any::<bool>(), 1..9),
            load in prop::collection::vec(0_u32..5, 9),
            random: u64,
        ) {
            let chosen = pick(random, Tried::default(), &usable, &load);
            prop_assert!(chosen < usable.len());
            let good = usable.iter().filter(|good| **good).count();
            if good * 2 >= usable.len() && good > 0 {
                prop_assert!(usable[chosen]);
                // Never the one that all others are lighter than.
                let worst = (0..usable.len())
                    .filter(|at| usable[*at] && *at != chosen)
                    .all(|at| load[at] < load[chosen]);
                prop_assert!(good == 1 || !worst);
            }
        }

        #[test]
        fn in_panic_each_gets_its_share(seed: u64) {
            let mut seen = [0_u32; 4];
            for step in 0..400_u64 {
                let random = xxhash_rust::xxh3::xxh3_64_with_seed(&step.to_le_bytes(), seed);
                seen[pick(random, Tried::default(), &[false, false, false, true], &[0; 4])] += 1;
            }
            prop_assert!(seen.iter().all(|times| *times > 40), "{:?}", seen);
        }
    }
}

//! Which of several instances gets a request.
//!
//! [`two_choices`] is for many callers that send at the same time and each see
//! only a part of the load: if all took the least loaded one, all would take
//! the same. [`least_loaded`] is for one caller that sees all of its own load,
//! over few instances: it spreads exactly.

use crate::share::Share;

/// Instances that a request has been sent to already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tried(u64);

impl Tried {
    /// The most instances that can be told apart.
    pub const INSTANCES_MAX: usize = 64;

    /// It was sent to this one.
    pub fn add(&mut self, instance: usize) {
        self.0 |= 1 << (instance % Self::INSTANCES_MAX);
    }

    fn has(self, instance: usize) -> bool {
        self.0 & (1 << (instance % Self::INSTANCES_MAX)) != 0
    }
}

/// Chooses one of `count` instances, at least one: of two drawn at random the
/// one with the smaller load ("power of two choices", Mitzenmacher 2001).
///
/// Instances that are not usable are left out, unless fewer than `panic` of
/// them are usable: then what is known is more likely wrong, and all are used
/// (Envoy's "panic threshold"). One that was tried is chosen again only where
/// all were.
pub fn two_choices(
    count: usize,
    tried: Tried,
    panic: Share,
    random: u64,
    usable: impl Fn(usize) -> bool,
    load: impl Fn(usize) -> u32,
) -> usize {
    if count <= 1 {
        return 0;
    }
    let good = (0..count).filter(|at| usable(*at)).count();
    let threshold = count * usize::from(panic.basis_points());
    let panics = good == 0 || good * usize::from(Share::WHOLE_BASIS_POINTS) < threshold;
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

/// The usable instances of `count`, the least loaded first tried: the one with
/// the smallest load, and among equals the first from `turn` on, which callers
/// raise by one each time (round robin). Loads may be any order, such as a pair
/// that puts the one that has just failed last. `None` where none is usable.
pub fn least_loaded<L: Ord>(
    count: usize,
    turn: usize,
    usable: impl Fn(usize) -> bool,
    load: impl Fn(usize) -> L,
) -> Option<usize> {
    in_turn(count, turn)
        .filter(|at| usable(*at))
        .min_by_key(|at| load(*at))
}

/// All of `count` instances once, beginning with `turn`.
pub fn in_turn(count: usize, turn: usize) -> impl Iterator<Item = usize> {
    let start = turn.checked_rem(count).unwrap_or(0);
    (start..count).chain(0..start)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HALF: Share = Share::from_basis_points(5_000);

    fn pick(random: u64, tried: Tried, usable: &[bool], load: &[u32]) -> usize {
        two_choices(
            usable.len(),
            tried,
            HALF,
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

    #[test]
    fn the_least_loaded_is_chosen_and_equals_in_turn() {
        let of = |turn, load: &[u32]| least_loaded(load.len(), turn, |_| true, |at| load[at]);
        assert_eq!(of(0, &[2, 1, 3]), Some(1));
        let equals: Vec<_> = (0..6).map(|turn| of(turn, &[0; 3]).unwrap()).collect();
        assert_eq!(equals, [0, 1, 2, 0, 1, 2]);
        assert_eq!(least_loaded(3, 1, |at| at != 1, |_| 0), Some(2));
        assert_eq!(least_loaded(3, 1, |_| false, |_| 0), None);
        assert_eq!(of(5, &[]), None);
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
        fn in_panic_each_gets_its_share(draws in prop::collection::vec(any::<u64>(), 400)) {
            let mut seen = [0_u32; 4];
            for random in draws {
                seen[pick(random, Tried::default(), &[false, false, false, true], &[0; 4])] += 1;
            }
            prop_assert!(seen.iter().all(|times| *times > 40), "{:?}", seen);
        }
    }
}

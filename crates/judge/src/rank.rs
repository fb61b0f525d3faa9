//! Mann and Whitney's test, window by window, on binned times.
//!
//! Within a window all times of both sides are ranked together, those of one bin
//! alike (mid-ranks); the score is by how much the service's are above the
//! middle. Windows are added, not pooled (van Elteren 1960), so the daily cycle
//! drops out. Its effect size is how likely a request of the service is slower
//! than one of the monolith (ties by half; Cliff's delta is twice what it is
//! above one half).
//!
//! The allowed increase is added first: the monolith's times are moved up by it,
//! so that the hypothesis is "equal".
//!
//! Centred ranks of one window are sub-Gaussian with their variance (exactly so
//! without ties), which gives the likelihood ratios `exp(l S - l^2 V / 2)`.
//!
//! It sees where the middle is and hardly the tail: never use it alone.

use crate::{
    block::{CELLS, Side},
    dispersion::Parts,
    evidence::{ALTERNATIVES, Counted, Increment, Towards},
    histogram::{BINS, Histogram, Spread, shift, shifted},
    verdict::Totals,
};

/// Effects that are alternatives: how likely slower is, beyond one half.
const EFFECTS: [f64; ALTERNATIVES] = [
    0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.18, 0.27, 0.4,
];
/// Per unit of the effect: the variance of evenly spread ranks is a twelfth.
const SLOPE: f64 = 12.0;

/// Evidence of one window against "the service's times are the monolith's,
/// `factor` times". None where a side has no times.
pub(crate) fn ranks(
    service: &Side,
    monolith: &Side,
    factor: f64,
    towards: Towards,
) -> Option<Increment> {
    let moved = shift(factor);
    let (own, other) = (spread(service), spread(monolith).shifted(moved));
    let (on_service, on_monolith) = (own.total(), other.total());
    let all = on_service + on_monolith;
    if on_service <= 0.0 || on_monolith <= 0.0 {
        return None;
    }
    // Of each bin, its middle rank around one half, from -1/2 to 1/2.
    let (mut ranks, mut below) = ([0.0; BINS], 0.0);
    let (mut own_squares, mut other_squares) = (0.0, 0.0);
    let both = own.weights().iter().zip(other.weights());
    for (rank, (own, other)) in ranks.iter_mut().zip(both) {
        let here = own + other;
        *rank = (below + here / 2.0) / all - 0.5;
        own_squares += own * *rank * *rank;
        other_squares += other * *rank * *rank;
        below += here;
    }
    let part = |times: &Histogram, moved: f64| -> f64 {
        let entries = times.entries();
        let sums = entries.map(|(at, count)| {
            let places = shifted(at, moved).into_iter();
            count * places.map(|(to, part)| ranks[to] * part).sum::<f64>()
        });
        sums.sum()
    };
    let mut parts = Parts::default();
    for at in 0..CELLS {
        let cell = &service.cells()[at];
        parts.service[at] = on_monolith / all * part(&cell.times, 0.0);
        let cell = &monolith.cells()[at];
        parts.monolith[at] = -on_service / all * part(&cell.times, moved);
    }
    let score = parts.score();
    let pairs = on_service * on_monolith / all;
    // By the permutations of the window's own ranks, ties included.
    let variance = pairs * (own_squares + other_squares) / (all - 1.0).max(1.0);
    let squares =
        (on_monolith / all).powi(2) * own_squares + (on_service / all).powi(2) * other_squares;
    let log_ratios = EFFECTS.map(|effect| {
        let slope = SLOPE * effect * towards.sign();
        slope * score - slope * slope * variance / 2.0
    });
    Some(Increment {
        log_ratios,
        assumed: variance,
        independent: variance,
        squares,
        parts,
        // The effect, of so many independent pairs.
        counted: Counted {
            service: totals(service),
            monolith: totals(monolith),
            numerator: score,
            denominator: pairs,
        },
    })
}

fn totals(side: &Side) -> Totals {
    Totals {
        requests: side.cells().iter().map(|cell| cell.times.count()).sum(),
        events: 0.0,
    }
}

fn spread(side: &Side) -> Spread {
    let mut spread = Spread::default();
    for cell in side.cells() {
        spread.add(&cell.times);
    }
    spread
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::Bin;

    fn side(bins: &[i16]) -> Side {
        let mut side = Side::default();
        for (at, bin) in (0..).zip(bins) {
            side.cell(at).times.add(Bin::new(*bin), 1);
        }
        side
    }

    /// Against the textbook's U and its variance with ties: of two groups of 4
    /// and 5 with ranks 2.5 2.5 5 8 and 2.5 2.5 6.5 6.5 9.
    #[test]
    fn score_and_variance_are_mann_and_whitneys() {
        let (service, monolith) = (side(&[1, 1, 2, 4]), side(&[1, 1, 3, 3, 5]));
        let increment = ranks(&service, &monolith, 1.0, Towards::Worse).unwrap();
        // U of the service: 18 - 4 * 5 / 2 = 8 of 20, so the effect is -0.1.
        assert!((effect(&increment) + 0.1).abs() < 1e-9);
        // n m / 12 ((N + 1) - sum(t^3 - t) / (N (N - 1))), t: 4 and 2; by N^2.
        let variance = 20.0 / 12.0 * (10.0 - (60.0 + 6.0) / 72.0) / 81.0;
        assert!((increment.assumed - variance).abs() < 1e-9);
    }

    #[test]
    fn an_allowed_increase_is_taken_off() {
        let (service, monolith) = (side(&[9, 10, 11]), side(&[1, 2, 3]));
        let equal = ranks(&service, &monolith, 2.0, Towards::Worse).unwrap();
        assert!(effect(&equal).abs() < 1e-9);
        let slower = ranks(&service, &monolith, 1.0, Towards::Worse).unwrap();
        assert!((effect(&slower) - 0.5).abs() < 1e-9);
    }

    fn effect(increment: &Increment) -> f64 {
        increment.counted.numerator / increment.counted.denominator
    }
}

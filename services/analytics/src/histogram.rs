//! How response times are spread: a histogram with fixed logarithmic cells, the
//! same for everybody and for ever, so that histograms of minutes, hours,
//! endpoints and services add up to what one over all would have been.
//!
//! Cell 0 holds what is at most [`LEAST_MS`]; cell `i` what is above
//! `LEAST_MS·γ^(i-1)` and at most `LEAST_MS·γ^i`, with `γ = (1+e)/(1-e)`. Of a
//! cell `2γ^i·LEAST_MS/(γ+1)` is told, which is off by at most
//! `e = `[`RELATIVE_ERROR`] of whatever is in it (DDSketch, Masson et al. 2019).
//!
//! The cells are in the database: changing them makes what is there wrong.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A quantile is off by at most this part of it.
pub const RELATIVE_ERROR: f64 = 0.02;
/// Whatever is faster counts as this.
pub const LEAST_MS: f64 = 0.01;
/// A day: nothing slower is taken.
pub const MOST_MS: f64 = 86_400_000.0;

const GROWTH: f64 = (1.0 + RELATIVE_ERROR) / (1.0 - RELATIVE_ERROR);

/// The upper bounds of all cells, ascending.
static BOUNDS: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let mut bounds = vec![LEAST_MS];
    let mut bound = LEAST_MS;
    while bound < MOST_MS {
        bound *= GROWTH;
        bounds.push(bound);
    }
    bounds
});

/// Which cell a time is in.
pub fn cell(time_ms: f64) -> i16 {
    let position = BOUNDS.partition_point(|bound| *bound < time_ms);
    let last = BOUNDS.len() - 1;
    // There are a few hundred.
    i16::try_from(position.min(last)).unwrap_or(i16::MAX)
}

/// What is told of a cell, in milliseconds.
fn told(cell: i16) -> f64 {
    let position = usize::try_from(cell).unwrap_or(0).min(BOUNDS.len() - 1);
    match position {
        0 => LEAST_MS,
        _ => BOUNDS[position] * 2.0 / (GROWTH + 1.0),
    }
}

/// How many times are in which cell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram(BTreeMap<i16, u64>);

impl Histogram {
    /// As it is stored: cells and what is in them.
    pub fn of(cells: &[i16], counts: &[i64]) -> Self {
        let mut histogram = Self::default();
        for (cell, count) in cells.iter().zip(counts) {
            *histogram.0.entry(*cell).or_default() += count.unsigned_abs();
        }
        histogram
    }

    /// Adds what is in another one.
    pub fn add(&mut self, other: &Self) {
        for (cell, count) in &other.0 {
            *self.0.entry(*cell).or_default() += count;
        }
    }

    /// The time that so many thousandths of all are not above, by the nearest
    /// rank; none where there is nothing.
    pub fn quantile(&self, thousandths: u64) -> Option<f64> {
        let count: u64 = self.0.values().sum();
        let rank = (count * thousandths).div_ceil(1000).max(1);
        let mut passed = 0;
        let mut cells = self.0.iter();
        let found = cells.find(|(_, count)| {
            passed += **count;
            passed >= rank
        });
        found.map(|(cell, _)| told(*cell))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(times: &[f64]) -> Histogram {
        let cells: Vec<_> = times.iter().map(|time| cell(*time)).collect();
        Histogram::of(&cells, &vec![1; cells.len()])
    }

    /// By the definition: sort and count.
    fn exact(times: &[f64], thousandths: u64) -> f64 {
        let mut sorted = times.to_vec();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() as u64 * thousandths).div_ceil(1000).max(1);
        sorted[usize::try_from(rank).unwrap() - 1]
    }

    /// As spread as response times are, and beyond.
    fn time() -> impl Strategy<Value = f64> {
        prop_oneof![
            (-3.0..7.93).prop_map(|power: f64| 10_f64.powf(power)),
            Just(0.0),
            Just(LEAST_MS),
            Just(MOST_MS),
            0.0..2000.0,
        ]
    }

    #[test]
    fn the_cells_are_those_of_what_is_stored() {
        assert_eq!(BOUNDS.len(), 573);
        for (time, expected) in [
            (0.0, 0),
            (LEAST_MS, 0),
            (0.010_001, 1),
            (1.0, 116),
            (12.5, 179),
            (1000.0, 288),
            (MOST_MS, 572),
            (f64::MAX, 572),
        ] {
            assert_eq!(cell(time), expected, "{time}");
        }
    }

    #[test]
    fn of_nothing_there_is_no_quantile() {
        assert_eq!(Histogram::default().quantile(500), None);
    }

    proptest! {
        #[test]
        fn a_quantile_is_off_by_no_more_than_is_said(
            times in prop::collection::vec(time(), 1..300),
            thousandths in 0..=1000_u64,
        ) {
            let exact = exact(&times, thousandths).max(LEAST_MS);
            let told = of(&times).quantile(thousandths).unwrap();
            let off = (told - exact).abs() / exact;
            // Beside the rounding of a few hundred multiplications.
            prop_assert!(off <= RELATIVE_ERROR + 1e-9, "{told} for {exact}: off by {off}");
        }

        #[test]
        fn parts_add_up_to_the_whole(
            times in prop::collection::vec(time(), 0..200),
            cut in 0..200_usize,
        ) {
            let (one, other) = times.split_at(cut.min(times.len()));
            let mut sum = of(one);
            sum.add(&of(other));
            prop_assert_eq!(&sum, &of(&times));
            let mut turned = of(other);
            turned.add(&of(one));
            prop_assert_eq!(sum, turned);
        }

        #[test]
        fn cells_ascend_with_times(one in time(), other in time()) {
            if one <= other {
                prop_assert!(cell(one) <= cell(other));
            }
        }
    }
}

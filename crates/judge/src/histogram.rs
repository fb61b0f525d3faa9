//! Times in bins that follow from a rule: eight to each doubling, as Prometheus'
//! native histograms of schema 3 have them, and the gateway's.
//!
//! Only these. The classic bounds (0.1, 0.25, 0.5 ...) lie apart by a factor of
//! two and a half: a service that is twice as slow can stay within one of them.

use serde::{Deserialize, Serialize};
use std::time::Duration;

const PER_DOUBLING: f64 = 8.0;
/// 2^-20 seconds, a microsecond, and 2^12, more than an hour. What is quicker or
/// slower counts into the first bin and the last.
const LOWEST: i16 = -20 * 8;
const HIGHEST: i16 = 12 * 8;
pub(crate) const BINS: usize = (HIGHEST - LOWEST + 1) as usize;

/// A bin by Prometheus' number: `n` holds times above 2^((n-1)/8) and up to
/// 2^(n/8) seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bin(i16);

impl Bin {
    /// By its number; those outside become the nearest.
    pub fn new(number: i16) -> Self {
        Self(number.clamp(LOWEST, HIGHEST))
    }

    /// The one that a time falls into.
    pub fn of(time: Duration) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "within i16 for any time")]
        Self::new(place(time).ceil() as i16)
    }

    /// Its number.
    pub fn number(self) -> i16 {
        self.0
    }

    fn index(self) -> usize {
        usize::try_from(self.0 - LOWEST).unwrap_or(0)
    }
}

/// A time as a place among bins: those up to `n` end at the place `n`.
fn place(time: Duration) -> f64 {
    (time.as_secs_f64().log2() * PER_DOUBLING).max(f64::from(LOWEST))
}

/// How many bins a factor moves a time up.
pub(crate) fn shift(factor: f64) -> f64 {
    factor.log2() * PER_DOUBLING
}

/// Counts of times.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Histogram {
    /// Those that are not empty, in order.
    bins: Vec<(Bin, u32)>,
}

impl Histogram {
    /// Counts so many times of a bin.
    pub fn add(&mut self, bin: Bin, times: u32) {
        match self.bins.binary_search_by_key(&bin, |(bin, _)| *bin) {
            Ok(at) => self.bins[at].1 = self.bins[at].1.saturating_add(times),
            Err(at) => self.bins.insert(at, (bin, times)),
        }
    }

    /// All of them.
    pub fn count(&self) -> u64 {
        self.bins.iter().map(|(_, times)| u64::from(*times)).sum()
    }

    /// The bins that are not empty, in order, with their counts.
    pub fn bins(&self) -> impl Iterator<Item = (Bin, u32)> {
        self.bins.iter().copied()
    }

    /// Index of each bin in a [`Spread`], and its times.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (usize, f64)> {
        self.bins()
            .map(|(bin, times)| (bin.index(), f64::from(times)))
    }
}

/// Times by bin as weights, which can be scaled: within a bin they are taken to
/// lie evenly (on the logarithmic scale).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    weights: Vec<f64>,
}

impl Default for Spread {
    fn default() -> Self {
        Self {
            weights: vec![0.0; BINS],
        }
    }
}

impl Spread {
    pub(crate) fn add(&mut self, times: &Histogram) {
        for (at, count) in times.entries() {
            self.weights[at] += count;
        }
    }

    pub(crate) fn weights(&self) -> &[f64] {
        &self.weights
    }

    pub(crate) fn total(&self) -> f64 {
        self.weights.iter().sum()
    }

    /// Makes older times count less.
    pub(crate) fn fade(&mut self, factor: f64) {
        for weight in &mut self.weights {
            *weight *= factor;
        }
    }

    /// As if each time were moved up by so many bins.
    pub(crate) fn shifted(&self, bins: f64) -> Self {
        let mut moved = Self::default();
        for (at, weight) in self.weights.iter().enumerate() {
            if *weight > 0.0 {
                for (to, part) in shifted(at, bins) {
                    moved.weights[to] += weight * part;
                }
            }
        }
        moved
    }

    /// Where this share of the times is below, within a bin by its part; none of
    /// no times.
    pub(crate) fn quantile(&self, share: f64) -> Option<Cut> {
        let wanted = share * self.total();
        let mut below = 0.0;
        for (at, weight) in self.weights.iter().enumerate() {
            below += weight;
            if *weight > 0.0 && below >= wanted {
                let number = i16::try_from(at).unwrap_or(HIGHEST) + LOWEST;
                return Some(Cut(f64::from(number) - (below - wanted) / weight));
            }
        }
        None
    }
}

/// Where a bin goes that is moved up by so many: two neighbours, with the part
/// that each gets.
pub(crate) fn shifted(at: usize, bins: f64) -> [(usize, f64); 2] {
    let whole = bins.floor();
    let part = bins - whole;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        reason = "some hundred bins, clamped"
    )]
    let to = |bin: f64| (at as isize + bin as isize).clamp(0, BINS as isize - 1) as usize;
    [(to(whole), 1.0 - part), (to(whole + 1.0), part)]
}

/// Where slow begins, as a place among bins.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Cut(f64);

impl Cut {
    pub(crate) fn at(time: Duration) -> Self {
        Self(place(time))
    }

    pub(crate) fn raised(self, factor: f64) -> Self {
        Self(self.0 + shift(factor))
    }

    /// How many times are slower.
    pub(crate) fn slower(self, times: &Histogram) -> f64 {
        let entries = times.entries();
        entries.map(|(at, count)| count * self.part(at)).sum()
    }

    /// Which part of a bin is slower.
    fn part(self, at: usize) -> f64 {
        let end = f64::from(i16::try_from(at).unwrap_or(HIGHEST) + LOWEST);
        (end - self.0).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-9, "{left} is not {right}");
    }

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_time_is_in_prometheus_bin() {
        assert_eq!(Bin::of(seconds(1.0)), Bin::new(0));
        assert_eq!(Bin::of(seconds(1.01)), Bin::new(1));
        assert_eq!(Bin::of(seconds(0.5)), Bin::new(-8));
        assert_eq!(Bin::of(Duration::ZERO), Bin::new(LOWEST));
        assert_eq!(Bin::of(Duration::MAX), Bin::new(HIGHEST));
    }

    #[test]
    fn a_cut_within_a_bin_takes_its_part() {
        let mut times = Histogram::default();
        times.add(Bin::new(0), 10);
        times.add(Bin::new(1), 10);
        near(Cut::at(seconds(1.0)).slower(&times), 10.0);
        near(Cut(0.25).slower(&times), 7.5);
        near(Cut(-0.5).slower(&times), 15.0);
        near(Cut(-0.5).raised(0.125_f64.exp2()).slower(&times), 5.0);
    }

    #[test]
    fn moving_keeps_the_total_and_moves_the_quantile() {
        let mut times = Histogram::default();
        (0..8).for_each(|bin| times.add(Bin::new(bin), 5));
        let mut spread = Spread::default();
        spread.add(&times);
        near(spread.shifted(1.5).total(), 40.0);
        assert_eq!(spread.quantile(0.5), Some(Cut(3.0)));
        assert_eq!(spread.shifted(2.0).quantile(0.5), Some(Cut(5.0)));
        let cut = spread.quantile(0.95).unwrap();
        near(cut.0, 6.6);
        near(cut.slower(&times), 0.05 * 40.0);
        assert_eq!(Spread::default().quantile(0.5), None);
    }
}

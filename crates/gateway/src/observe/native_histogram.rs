//! Native histograms: buckets whose bounds follow from a rule, so that none has
//! to be chosen, and quantiles are exact to a few percent.
//!
//! Prometheus' schema 3: eight buckets to each doubling. They are kept beside
//! the classic ones, and seen only by who asks for the protobuf format.

use prometheus_client::encoding::{NativeHistogram, NativeHistogramBuckets};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

const SCHEMA: i32 = 3;
const PER_DOUBLING: usize = 1 << SCHEMA;

/// From 2^-20 seconds, a microsecond, to 2^12, more than an hour. What is
/// quicker counts as nothing, what is slower into the last bucket.
const LOWEST: i32 = -20;
const HIGHEST: i32 = 12;
const BUCKETS: usize = (HIGHEST - LOWEST) as usize * PER_DOUBLING;
/// 2^-20.
const ZERO: f64 = 1.0 / (1 << 20) as f64;

/// Upper bounds within a doubling from 1/2, the last one left out: 2^(n/8) / 2.
const BOUNDS: [f64; PER_DOUBLING] = [
    0.5,
    0.545_253_866_332_628_8,
    0.594_603_557_501_360_5,
    0.648_419_777_325_504_8,
    std::f64::consts::FRAC_1_SQRT_2,
    0.771_105_412_703_970_4,
    0.840_896_415_253_714_5,
    0.917_004_043_204_671_2,
];

/// Counts of times.
#[derive(Debug)]
pub(crate) struct Native {
    zero: AtomicU64,
    buckets: Box<[AtomicU64]>,
}

impl Default for Native {
    fn default() -> Self {
        Self {
            zero: AtomicU64::new(0),
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Native {
    pub(crate) fn observe(&self, time: Duration) {
        let count = match place(time.as_secs_f64()) {
            None => &self.zero,
            Some(at) => &self.buckets[at],
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let zero = self.zero.load(Ordering::Relaxed);
        let mut snapshot = Snapshot {
            zero,
            count: zero,
            spans: Vec::new(),
            deltas: Vec::new(),
        };
        let (mut before, mut next) = (0, 0);
        for (at, count) in self.buckets.iter().enumerate() {
            let count = count.load(Ordering::Relaxed);
            if count == 0 {
                continue;
            }
            let index = index(at);
            match snapshot.spans.last_mut() {
                Some((_, length)) if index == next => *length += 1,
                _ => snapshot.spans.push((index - next, 1)),
            }
            let signed = i64::try_from(count).unwrap_or(i64::MAX);
            snapshot.deltas.push(signed - before);
            (before, next) = (signed, index + 1);
            snapshot.count += count;
        }
        snapshot
    }
}

/// The counts of one moment, as they are written.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Of all: a histogram whose count is not its buckets' sum is refused.
    pub(crate) count: u64,
    zero: u64,
    spans: Vec<(i32, u32)>,
    deltas: Vec<i64>,
}

impl Snapshot {
    pub(crate) fn encoded(&self) -> NativeHistogram<'_> {
        NativeHistogram {
            schema: SCHEMA,
            zero_threshold: ZERO,
            zero_count: self.zero,
            negative: NativeHistogramBuckets {
                spans: &[],
                deltas: &[],
            },
            positive: NativeHistogramBuckets {
                spans: &self.spans,
                deltas: &self.deltas,
            },
            created: None,
        }
    }
}

/// Prometheus' number of a bucket: that of number 0 ends with 1 second.
fn index(at: usize) -> i32 {
    i32::try_from(at).unwrap_or(i32::MAX) + 1 + LOWEST * (1 << SCHEMA)
}

/// Prometheus' number of the bucket that a time is in; the next one below them for next to
/// nothing.
pub(crate) fn bin(time: Duration) -> i16 {
    let number = place(time.as_secs_f64()).map_or(LOWEST * (1 << SCHEMA), index);
    i16::try_from(number).unwrap_or(i16::MAX)
}

/// A number's fraction, and the power of 2 of those from 1/2 to below 1.
const FRACTION: u64 = (1 << 52) - 1;
const HALF: u64 = 1022 << 52;

/// The bucket of a time in seconds; none for next to nothing.
fn place(seconds: f64) -> Option<usize> {
    if seconds <= ZERO {
        return None;
    }
    // As `frexp` has it: a fraction from 1/2 to below 1, and a power of 2.
    let bits = seconds.to_bits();
    let exponent = i32::try_from(bits >> 52 & 0x7ff).unwrap_or(0) - 1022;
    let fraction = f64::from_bits(bits & FRACTION | HALF);
    let within = BOUNDS.iter().filter(|bound| **bound < fraction).count();
    let within = i32::try_from(within).unwrap_or(0);
    let index = (exponent - 1) * (1 << SCHEMA) + within;
    let at = index - 1 - LOWEST * (1 << SCHEMA);
    usize::try_from(at).ok().map(|at| at.min(BUCKETS - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a bucket's number says about its times: above the first, up to the
    /// second.
    fn bounds(index: i32) -> (f64, f64) {
        let bound = |index: i32| (f64::from(index) / f64::from(1 << SCHEMA)).exp2();
        (bound(index - 1), bound(index))
    }

    #[test]
    fn what_is_written_adds_up() {
        let native = Native::default();
        for millis in [0, 1, 1, 2, 500, 1000, 1000, 10_000_000] {
            native.observe(Duration::from_millis(millis));
        }
        let snapshot = native.snapshot();
        assert_eq!((snapshot.count, snapshot.zero), (8, 1));
        let mut counts = Vec::new();
        let (mut next, mut count, mut deltas) = (0, 0, snapshot.deltas.iter());
        for (offset, length) in &snapshot.spans {
            next += offset;
            for _ in 0..*length {
                count += deltas.next().unwrap();
                counts.push((next, count));
                next += 1;
            }
        }
        // The last one is of times without an end.
        let last = HIGHEST * (1 << SCHEMA);
        assert_eq!(counts, [(-79, 2), (-71, 1), (-8, 1), (0, 2), (last, 1)]);
    }

    #[test]
    fn a_bin_is_prometheus_number() {
        let millis = |millis| bin(Duration::from_millis(millis));
        assert_eq!((millis(1000), millis(1001), millis(500)), (0, 1, -8));
        let (lowest, highest) = (LOWEST * 8, HIGHEST * 8);
        assert_eq!(i32::from(bin(Duration::ZERO)), lowest);
        assert_eq!(i32::from(bin(Duration::from_micros(1))), lowest + 1);
        assert_eq!(i32::from(bin(Duration::MAX)), highest);
    }

    proptest! {
        #[test]
        fn each_time_is_within_its_bucket(nanos in 1_000..4_096_000_000_000_u64) {
            let seconds = Duration::from_nanos(nanos).as_secs_f64();
            let (above, up_to) = bounds(index(place(seconds).unwrap()));
            // Powers are not exact.
            prop_assert!(above * (1.0 - 1e-12) <= seconds && seconds <= up_to * (1.0 + 1e-12));
        }
    }
}

//! A histogram of times without a lock.

use super::native_histogram::Native;
use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, TypedMetric},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Upper bounds in seconds: Prometheus' own, with finer ones below for a
/// gateway in one network with its upstreams.
const BOUNDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// A histogram of times without a lock.
#[derive(Debug, Default)]
pub(crate) struct Times {
    counts: [AtomicU64; BOUNDS.len() + 1],
    sum_nanos: AtomicU64,
    native: Option<Native>,
}

/// A [`Times`] that many may hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedTimes(Arc<Times>);

impl SharedTimes {
    /// One that keeps native buckets, too.
    pub(crate) fn with_native() -> Self {
        Self(Arc::new(Times {
            native: Some(Native::default()),
            ..Times::default()
        }))
    }

    pub(crate) fn observe(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let bucket = BOUNDS
            .iter()
            .position(|bound| seconds <= *bound)
            .unwrap_or(BOUNDS.len());
        self.0.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
        if let Some(native) = &self.0.native {
            native.observe(time);
        }
    }
}

impl TypedMetric for SharedTimes {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for SharedTimes {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let bounds = BOUNDS.iter().copied().chain([f64::INFINITY]);
        let counts = self
            .0
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_nanos(self.0.sum_nanos.load(Ordering::Relaxed)).as_secs_f64();
        let Some(native) = self.0.native.as_ref().map(Native::snapshot) else {
            return encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None);
        };
        let (count, native) = (native.count, native.encoded());
        encoder.encode_histogram_with_native::<NoLabelSet>(sum, count, &buckets, None, native)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

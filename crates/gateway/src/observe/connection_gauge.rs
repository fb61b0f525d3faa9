//! How many requests and connections there are at this moment.

use parking_lot::Mutex;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// What one worker has; only that worker writes, the metrics read.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    requests: AtomicU32,
    connections: AtomicU32,
    busy: AtomicU32,
}

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Counted {
    /// A request whose answer's head has not been sent.
    Request,
    /// A client's connection.
    Connection,
    /// One with at least one such request.
    Busy,
}

impl Tally {
    fn of(&self, what: Counted) -> &AtomicU32 {
        match what {
            Counted::Request => &self.requests,
            Counted::Connection => &self.connections,
            Counted::Busy => &self.busy,
        }
    }

    /// One more. One thread writes, so this needs no atomic addition.
    pub(crate) fn add(&self, what: Counted) {
        let count = self.of(what);
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// One less.
    pub(crate) fn subtract(&self, what: Counted) {
        let count = self.of(what);
        count.store(count.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
    }
}

/// All workers' tallies.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConnectionGauge(Arc<Mutex<Vec<Arc<Tally>>>>);

impl ConnectionGauge {
    /// The tally of one more worker.
    pub(crate) fn join(&self) -> Arc<Tally> {
        let tally = Arc::<Tally>::default();
        self.0.lock().push(Arc::clone(&tally));
        tally
    }

    fn sum(&self, what: Counted) -> i64 {
        let all = self.0.lock();
        let counts = all.iter().map(|tally| tally.of(what));
        counts
            .map(|count| i64::from(count.load(Ordering::Relaxed)))
            .sum()
    }
}

impl Collector for ConnectionGauge {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Requests whose answer has not begun";
        let requests =
            encoder.encode_descriptor("http_requests_in_flight", help, None, MetricType::Gauge)?;
        ConstGauge::new(self.sum(Counted::Request)).encode(requests)?;
        let help = "Connections of clients; busy are those with a request in flight";
        let mut connections =
            encoder.encode_descriptor("banyan_connections", help, None, MetricType::Gauge)?;
        let busy = self.sum(Counted::Busy);
        // Read one after the other, so the difference may be off for a moment.
        let idle = (self.sum(Counted::Connection) - busy).max(0);
        for (state, count) in [("busy", busy), ("idle", idle)] {
            let labels = [("state", state)];
            ConstGauge::new(count).encode(connections.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

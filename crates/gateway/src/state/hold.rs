//! Requests that wait for a hand-over.
//!
//! Two halves: a [`Ledger`] per extraction, shared by the workers, which keeps
//! the bounds and the report, and a [`Queue`] per extraction and worker, which
//! keeps the order. A held request stays in its queue until it is forwarded or
//! answered, so one that is woken and finds the next hold keeps its place. When
//! its client goes, hyper drops the request's future and with it its place. Across
//! workers, and for what comes when a hold has just ended, [`super::release_order`]
//! keeps the order of each client's writes.

use crate::{base::refusal::Refusal, observe::metrics::HoldMetrics};
use parking_lot::Mutex;
use plan::Switch;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// The bounds of an extraction's holds and what they did.
#[derive(Debug)]
pub(crate) struct Ledger {
    requests_max: usize,
    bytes_max: u64,
    age_max: Duration,
    requests: AtomicUsize,
    bytes: AtomicU64,
    last: Mutex<LastHold>,
    metrics: HoldMetrics,
}

/// What the last hold did. At most as many times as it may hold requests.
#[derive(Debug, Default)]
struct LastHold {
    held: Vec<Duration>,
    refused: u64,
}

impl Ledger {
    /// Without a switch, nothing is held.
    pub(crate) fn new(switch: Option<&Switch>, metrics: HoldMetrics) -> Arc<Self> {
        Arc::new(Self {
            requests_max: switch.map_or(0, |switch| switch.held_requests),
            bytes_max: switch.map_or(0, |switch| switch.held_bytes.0),
            age_max: switch.map_or(Duration::ZERO, |switch| switch.hold),
            requests: AtomicUsize::new(0),
            bytes: AtomicU64::new(0),
            last: Mutex::default(),
            metrics,
        })
    }

    /// A hold begins: the report starts anew.
    pub(crate) fn begin(&self) {
        *self.last.lock() = LastHold::default();
    }

    /// The longest that a request waits.
    pub(crate) fn age_max(&self) -> Duration {
        self.age_max
    }

    /// How many are held.
    pub(crate) fn held(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn report(&self) -> HeldReport {
        let last = self.last.lock();
        let mut held = last.held.clone();
        held.sort_unstable();
        let millis = |time: Option<&Duration>| {
            time.map_or(0, |time| {
                u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
            })
        };
        HeldReport {
            now: self.held(),
            released: held.len() as u64,
            hold_ms_max: millis(held.last()),
            hold_ms_p50: millis(held.get(held.len() / 2)),
            hold_ms_p99: millis(held.get(held.len() * 99 / 100)),
            refused: last.refused,
        }
    }

    /// Counts a request that is not held, or no longer.
    pub(crate) fn refuse(&self, refusal: Refusal) -> Refusal {
        self.last.lock().refused += 1;
        refusal
    }

    fn admit(self: &Arc<Self>, bytes: u64) -> Result<Admission, Refusal> {
        if !take(&self.bytes, bytes, self.bytes_max) {
            return Err(self.refuse(Refusal::HoldFull));
        }
        let requests = self
            .requests
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
                (held < self.requests_max).then_some(held + 1)
            });
        if requests.is_err() {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(self.refuse(Refusal::HoldFull));
        }
        self.metrics.held.inc();
        Ok(Admission {
            ledger: Arc::clone(self),
            bytes,
            since: Instant::now(),
        })
    }
}

fn take(counter: &AtomicU64, amount: u64, max: u64) -> bool {
    counter
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(amount).filter(|sum| *sum <= max)
        })
        .is_ok()
}

/// A share of a ledger's bounds, given back on drop.
#[derive(Debug)]
struct Admission {
    ledger: Arc<Ledger>,
    bytes: u64,
    since: Instant,
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.ledger.metrics.held.dec();
        self.ledger.requests.fetch_sub(1, Ordering::Relaxed);
        self.ledger.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The held requests of one worker and extraction, in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    arrivals: Cell<u64>,
    waiting: RefCell<BTreeMap<u64, oneshot::Sender<()>>>,
}

impl Queue {
    /// Wakes all, in order of arrival: each looks at the routing again.
    pub(crate) fn wake(&self) {
        let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
        for wake in waiting.into_values() {
            let _ = wake.send(());
        }
    }
}

/// A held request.
#[derive(Debug)]
pub(crate) struct Held {
    queue: Rc<Queue>,
    arrival: u64,
    admission: Admission,
}

impl Held {
    /// Holds a request, where the bounds allow it.
    pub(crate) fn new(
        queue: &Rc<Queue>,
        ledger: &Arc<Ledger>,
        bytes: u64,
    ) -> Result<Self, Refusal> {
        let admission = ledger.admit(bytes)?;
        let arrival = queue.arrivals.get();
        queue.arrivals.set(arrival + 1);
        Ok(Self {
            queue: Rc::clone(queue),
            arrival,
            admission,
        })
    }

    /// Waits for the next change of the routing, until the request gets too
    /// old.
    pub(crate) async fn wait(&self) -> Result<(), Refusal> {
        let (wake, woken) = oneshot::channel();
        self.queue.waiting.borrow_mut().insert(self.arrival, wake);
        let ledger = &self.admission.ledger;
        match tokio::time::timeout(self.age_left(), woken).await {
            Ok(_) => Ok(()),
            Err(_) => Err(ledger.refuse(Refusal::HoldTooOld)),
        }
    }

    /// How much longer it may wait.
    pub(crate) fn age_left(&self) -> Duration {
        let age_max = self.admission.ledger.age_max;
        age_max.saturating_sub(self.admission.since.elapsed())
    }

    /// It will be forwarded.
    pub(crate) fn release(self) {
        let held = self.admission.since.elapsed();
        let ledger = &self.admission.ledger;
        ledger.metrics.times.observe(held);
        let mut last = ledger.last.lock();
        if last.held.len() < ledger.requests_max {
            last.held.push(held);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.queue.waiting.borrow_mut().remove(&self.arrival);
    }
}

/// What an extraction's holds did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeldReport {
    /// Requests held at this moment.
    pub now: usize,
    /// Requests that the last hold held and released.
    pub released: u64,
    /// How long the longest of them was held, in milliseconds.
    pub hold_ms_max: u64,
    /// How long the median of them was held, in milliseconds.
    pub hold_ms_p50: u64,
    /// How long one in a hundred of them was held at least, in milliseconds.
    pub hold_ms_p99: u64,
    /// Requests that the last hold answered 503, because they did not fit into
    /// its bounds or got too old.
    pub refused: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::ByteSize;

    fn ledger() -> Arc<Ledger> {
        let switch = Switch {
            hold: Duration::from_mins(1),
            drain: Duration::from_secs(1),
            held_requests: 2,
            held_bytes: ByteSize(10),
            block: 1,
            observe: Duration::ZERO,
            lag: ByteSize(1),
        };
        Ledger::new(Some(&switch), HoldMetrics::default())
    }

    #[test]
    fn bounds_are_kept_and_given_back() {
        let (ledger, queue) = (ledger(), Rc::default());
        let one = Held::new(&queue, &ledger, 4).unwrap();
        assert_eq!(
            Held::new(&queue, &ledger, 7).unwrap_err(),
            Refusal::HoldFull
        );
        let two = Held::new(&queue, &ledger, 6).unwrap();
        assert_eq!(
            Held::new(&queue, &ledger, 0).unwrap_err(),
            Refusal::HoldFull
        );
        drop(one);
        let three = Held::new(&queue, &ledger, 4).unwrap();
        two.release();
        assert_eq!(ledger.held(), 1);
        drop(three);
        let report = ledger.report();
        assert_eq!((report.now, report.released, report.refused), (0, 1, 2));
        ledger.begin();
        assert_eq!(ledger.report(), HeldReport::default());
    }

    #[tokio::test]
    async fn a_place_ends_with_its_request() {
        let (ledger, queue) = (ledger(), Rc::default());
        let held = Held::new(&queue, &ledger, 1).unwrap();
        let waiting = tokio::time::timeout(Duration::from_millis(1), held.wait());
        assert!(waiting.await.is_err());
        assert_eq!(queue.waiting.borrow().len(), 1);
        drop(held);
        assert!(queue.waiting.borrow().is_empty());
    }
}

//! How much of the bodies of one worker's requests may be in memory, and who goes
//! when others need the room.
//!
//! Whoever sends the beginning of a body fast and then next to nothing would take up
//! the room of all others. So where there is none left, the slowest of those that have
//! been sending for [`EVICTABLE_AFTER`] is given up: by what came of late, since one that
//! stalls after a burst is fast on average, and one that goes on slowly is not.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    task::Waker,
    time::Duration,
};
use tokio::time::Instant;

/// Nobody is called slow sooner: bodies in memory are small, and come in far less.
const EVICTABLE_AFTER: Duration = Duration::from_secs(5);

/// What came so long ago counts half.
const HALF_LIFE: Duration = Duration::from_secs(2);

/// How much of the bodies of one worker's requests may be in memory.
#[derive(Debug)]
pub(crate) struct Buffers {
    free: Cell<usize>,
    /// Those whose next part is awaited, or was once.
    arriving: RefCell<BTreeMap<u64, Rc<Arrival>>>,
    next: Cell<u64>,
}

/// A part of [`Buffers`], given back on drop.
#[derive(Debug)]
pub(crate) struct Reserved {
    buffers: Rc<Buffers>,
    arrival: Rc<Arrival>,
}

/// A body that comes in.
#[derive(Debug)]
struct Arrival {
    bytes: Cell<usize>,
    since: Instant,
    /// The bytes that came of late, as it was then.
    recent: Cell<(f64, Instant)>,
    /// Its place among those that arrive.
    place: Cell<Option<u64>>,
    is_evicted: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Buffers {
    pub(crate) fn new(bytes: usize) -> Rc<Self> {
        Rc::new(Self {
            free: Cell::new(bytes),
            arriving: RefCell::default(),
            next: Cell::new(0),
        })
    }

    pub(super) fn reserve(self: &Rc<Self>) -> Reserved {
        let now = Instant::now();
        Reserved {
            buffers: Rc::clone(self),
            arrival: Rc::new(Arrival {
                bytes: Cell::new(0),
                since: now,
                recent: Cell::new((0.0, now)),
                place: Cell::new(None),
                is_evicted: Cell::new(false),
                waker: RefCell::default(),
            }),
        }
    }

    fn take(&self, bytes: usize) -> bool {
        let left = self.free.get().checked_sub(bytes);
        if let Some(left) = left {
            self.free.set(left);
        }
        left.is_some()
    }

    fn give_back(&self, bytes: usize) {
        self.free.set(self.free.get() + bytes);
    }

    /// Gives up the slowest body but this one. Whether there was one.
    fn evict(&self, own: &Arrival) -> bool {
        let now = Instant::now();
        let is_slow = |arrival: &&Rc<Arrival>| {
            let age = now.saturating_duration_since(arrival.since);
            age >= EVICTABLE_AFTER
                && arrival.bytes.get() > 0
                && !std::ptr::eq(Rc::as_ptr(arrival), own)
        };
        let slowest = {
            let arriving = self.arriving.borrow();
            let slow = arriving.values().filter(is_slow);
            slow.min_by(|one, other| one.recently(now).total_cmp(&other.recently(now)))
                .cloned()
        };
        let Some(slowest) = slowest else {
            return false;
        };
        tracing::info!(
            bytes = slowest.bytes.get(),
            "slow body given up for want of memory"
        );
        slowest.is_evicted.set(true);
        // It drops them as soon as it runs.
        self.give_back(slowest.bytes.take());
        if let Some(waker) = slowest.waker.take() {
            waker.wake();
        }
        true
    }
}

impl Arrival {
    /// The bytes that came of late, of longer ago fewer.
    fn recently(&self, now: Instant) -> f64 {
        let (bytes, then) = self.recent.get();
        let age = now.saturating_duration_since(then);
        bytes * (-age.div_duration_f64(HALF_LIFE)).exp2()
    }

    fn came(&self, bytes: usize) {
        let now = Instant::now();
        #[expect(clippy::cast_precision_loss, reason = "of a part, and only compared")]
        let recent = self.recently(now) + bytes as f64;
        self.recent.set((recent, now));
        self.bytes.set(self.bytes.get() + bytes);
    }
}

impl Reserved {
    /// Whether there is room for so many more, if need be in the place of another.
    pub(super) fn grow(&self, bytes: usize) -> bool {
        while !self.buffers.take(bytes) {
            if !self.buffers.evict(&self.arrival) {
                return false;
            }
        }
        self.arrival.came(bytes);
        true
    }

    /// Its next part is awaited by who has this waker. Whether it was given up.
    pub(super) fn is_evicted(&self, waker: &Waker) -> bool {
        if self.arrival.is_evicted.get() {
            return true;
        }
        if self.arrival.place.get().is_none() {
            let place = self.buffers.next.get();
            self.buffers.next.set(place + 1);
            self.arrival.place.set(Some(place));
            let mut arriving = self.buffers.arriving.borrow_mut();
            arriving.insert(place, Rc::clone(&self.arrival));
        }
        let mut known = self.arrival.waker.borrow_mut();
        match &mut *known {
            Some(known) => known.clone_from(waker),
            known => *known = Some(waker.clone()),
        }
        false
    }

    /// All of it is here: nobody takes its room any more.
    pub(super) fn arrived(&self) {
        if let Some(place) = self.arrival.place.take() {
            self.buffers.arriving.borrow_mut().remove(&place);
        }
    }

    pub(super) fn give_back(&self) {
        self.buffers.give_back(self.arrival.bytes.take());
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.arrived();
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_slowest_goes_when_there_is_no_room() {
        let buffers = Buffers::new(100);
        let waker = Waker::noop();
        let [slow, slower, whole] = [30, 20, 40].map(|bytes| {
            let reserved = buffers.reserve();
            assert!(reserved.grow(bytes));
            assert!(!reserved.is_evicted(waker));
            reserved
        });
        whole.arrived();
        let new = buffers.reserve();
        assert!(!new.grow(11), "nobody is slow yet");
        tokio::time::advance(EVICTABLE_AFTER).await;
        assert!(new.grow(11));
        assert!(slower.is_evicted(waker) && !slow.is_evicted(waker));
        assert!(new.grow(49), "and the next one");
        assert!(slow.is_evicted(waker) && !whole.arrival.is_evicted.get());
        assert!(!new.grow(1), "what is here stays");
        drop((slow, slower));
        assert!(!new.grow(1), "what was taken is not given back again");
        drop((whole, new));
        assert_eq!(buffers.free.get(), 100);
        assert!(buffers.arriving.borrow().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_stalls_after_a_burst_goes_before_one_that_goes_on() {
        let buffers = Buffers::new(100_000);
        let waker = Waker::noop();
        let [stalled, honest] = [80_000, 1].map(|bytes| {
            let reserved = buffers.reserve();
            assert!(reserved.grow(bytes));
            assert!(!reserved.is_evicted(waker));
            reserved
        });
        for _ in 0..15 {
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(honest.grow(1000));
        }
        assert!(buffers.reserve().grow(10_000));
        assert!(stalled.is_evicted(waker) && !honest.is_evicted(waker));
    }
}

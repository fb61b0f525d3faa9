//! Bounds on waits, at next to no cost where nothing is late.
//!
//! Every request and every idle connection has some, nearly all end before
//! their time, and most are of the same few lengths. A runtime's timer pays for
//! each when it is set and when it is given up. Here that is a slot in a
//! vector: one task per worker sleeps until the earliest time that was ever
//! asked for, looks through all, and by then finds nearly all of them gone. A
//! new deadline wakes it only if it is earlier than that.
//!
//! Deadlines may be seen up to [`RESOLUTION`] late. They work on the threads
//! of workers only, where [`watch`] runs.

use std::{
    cell::RefCell,
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::Instant;

/// The least time between two looks through all deadlines, so that many short
/// ones cannot make it a busy loop: a look takes some 10 us per 10,000.
const RESOLUTION: Duration = Duration::from_millis(5);

thread_local! {
    static DEADLINES: RefCell<Deadlines> = const { RefCell::new(Deadlines::new()) };
}

/// The time was over before the future was ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Elapsed;

impl From<Elapsed> for std::io::Error {
    fn from(_: Elapsed) -> Self {
        std::io::ErrorKind::TimedOut.into()
    }
}

/// A wait for a moment.
pub(crate) struct Deadline {
    until: Instant,
    slot: Option<usize>,
}

enum Slot {
    /// The next free one.
    Free(Option<usize>),
    Waiting(Instant, Waker),
    /// Its moment has come, and its owner was told.
    Passed,
}

/// All deadlines of a thread.
struct Deadlines {
    slots: Vec<Slot>,
    free: Option<usize>,
    /// No deadline is earlier. `None` is: there is none.
    earliest: Option<Instant>,
    /// When they were last looked through.
    looked: Option<Instant>,
    /// Of the task that watches.
    watcher: Option<Waker>,
}

impl Deadlines {
    const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: None,
            earliest: None,
            looked: None,
            watcher: None,
        }
    }

    /// When to look again; this waker is told when it gets earlier.
    fn next(&mut self, watcher: &Waker) -> Option<Instant> {
        match &mut self.watcher {
            Some(known) => known.clone_from(watcher),
            None => self.watcher = Some(watcher.clone()),
        }
        let earliest = self.earliest?;
        let distance = self.looked.map(|at| at + RESOLUTION);
        Some(distance.map_or(earliest, |distance| distance.max(earliest)))
    }

    fn enter(&mut self, until: Instant, waker: Waker) -> usize {
        if self.earliest.is_none_or(|earliest| until < earliest) {
            self.earliest = Some(until);
            if let Some(watcher) = &self.watcher {
                watcher.wake_by_ref();
            }
        }
        let entered = Slot::Waiting(until, waker);
        let Some(place) = self.free else {
            self.slots.push(entered);
            return self.slots.len() - 1;
        };
        let before = std::mem::replace(&mut self.slots[place], entered);
        self.free = match before {
            Slot::Free(next) => next,
            Slot::Waiting(..) | Slot::Passed => None,
        };
        place
    }

    /// Frees a slot. What was in it is not dropped here, where `self` is
    /// borrowed: a waker is somebody else's code.
    fn leave(&mut self, place: usize) -> Slot {
        let freed = Slot::Free(self.free.replace(place));
        std::mem::replace(&mut self.slots[place], freed)
    }

    /// Whether the moment has come; if not, this waker is told.
    fn has_passed(&mut self, place: usize, waker: &Waker) -> bool {
        match &mut self.slots[place] {
            Slot::Waiting(_, waiting) => {
                waiting.clone_from(waker);
                false
            }
            Slot::Passed | Slot::Free(_) => true,
        }
    }

    /// Whom to wake because their moment has come; finds the earliest of the
    /// rest.
    fn pass(&mut self, now: Instant) -> Vec<Waker> {
        let mut late = Vec::new();
        self.looked = Some(now);
        self.earliest = None;
        for slot in &mut self.slots {
            match std::mem::replace(slot, Slot::Passed) {
                Slot::Waiting(until, waker) if until <= now => late.push(waker),
                Slot::Waiting(until, waker) => {
                    self.earliest = Some(self.earliest.map_or(until, |least| least.min(until)));
                    *slot = Slot::Waiting(until, waker);
                }
                other => *slot = other,
            }
        }
        late
    }
}

impl Deadline {
    pub(crate) fn at(until: Instant) -> Self {
        Self { until, slot: None }
    }

    /// Moves it.
    pub(crate) fn reset(&mut self, until: Instant) {
        self.forget();
        self.until = until;
    }

    fn forget(&mut self) {
        if let Some(place) = self.slot.take() {
            // The thread may be ending, and its deadlines with it.
            let left = DEADLINES.try_with(|all| all.borrow_mut().leave(place));
            drop(left);
        }
    }
}

impl Future for Deadline {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (until, slot) = (self.until, self.slot);
        DEADLINES.with(|all| match slot {
            Some(place) if all.borrow_mut().has_passed(place, cx.waker()) => Poll::Ready(()),
            Some(_) => Poll::Pending,
            None => {
                let place = all.borrow_mut().enter(until, cx.waker().clone());
                self.slot = Some(place);
                Poll::Pending
            }
        })
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.forget();
    }
}

/// Waits for a future, but not past a moment.
pub(crate) async fn timeout_at<F: Future>(until: Instant, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut deadline = Deadline::at(until);
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(&mut deadline).poll(cx).map(|()| Err(Elapsed))
    })
    .await
}

/// Waits for a future, but no longer than this.
pub(crate) async fn timeout<F: Future>(bound: Duration, future: F) -> Result<F::Output, Elapsed> {
    timeout_at(Instant::now() + bound, future).await
}

/// Watches this thread's deadlines until it is dropped.
pub(crate) async fn watch() {
    let mut sleep = pin!(tokio::time::sleep(RESOLUTION));
    poll_fn(|cx| {
        while let Some(earliest) = DEADLINES.with(|all| all.borrow_mut().next(cx.waker())) {
            sleep.as_mut().reset(earliest);
            if sleep.as_mut().poll(cx).is_pending() {
                break;
            }
            let now = Instant::now();
            for late in DEADLINES.with(|all| all.borrow_mut().pass(now)) {
                late.wake();
            }
        }
        Poll::<()>::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::LocalSet;

    fn waker() -> Waker {
        Waker::noop().clone()
    }

    #[test]
    fn a_slot_is_used_again_and_the_earliest_may_be_gone() {
        let mut all = Deadlines::new();
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let (first, second) = (all.enter(after(10), waker()), all.enter(after(30), waker()));
        assert_eq!(all.next(&waker()), Some(after(10)));
        all.leave(first);
        assert_eq!(
            all.next(&waker()),
            Some(after(10)),
            "nobody looks before that"
        );
        assert!(all.pass(after(10)).is_empty());
        assert_eq!(all.next(&waker()), Some(after(30)));
        assert_eq!(all.enter(after(40), waker()), first);
        assert!(!all.has_passed(second, &waker()));
        assert_eq!(all.pass(after(30)).len(), 1);
        assert!(all.has_passed(second, &waker()));
        assert!(!all.has_passed(first, &waker()));
        all.leave(second);
        all.leave(first);
        assert!(all.pass(after(99)).is_empty());
        assert_eq!(all.next(&waker()), None);
        assert_eq!(all.slots.len(), 2);
    }

    #[test]
    fn looks_keep_a_distance() {
        let mut all = Deadlines::new();
        let start = Instant::now();
        all.enter(start, waker());
        all.pass(start);
        all.enter(start + Duration::from_micros(1), waker());
        assert_eq!(all.next(&waker()), Some(start + RESOLUTION));
    }

    async fn in_a_worker<T>(test: impl Future<Output = T>) -> T {
        let thread = LocalSet::new();
        thread.spawn_local(watch());
        thread.run_until(test).await
    }

    #[tokio::test]
    async fn what_comes_in_time_counts_and_what_does_not_is_given_up() {
        let never = std::future::pending::<()>;
        let (late, soon) = (Duration::from_mins(9), Duration::from_millis(1));
        let both = in_a_worker(async {
            // The later one first: the second has to wake the watcher.
            let patient = timeout(late, tokio::time::sleep(soon * 20));
            let hasty = async {
                tokio::task::yield_now().await;
                timeout(soon, never()).await
            };
            tokio::join!(patient, hasty)
        });
        assert_eq!(both.await, (Ok(()), Err(Elapsed)));
    }

    #[tokio::test]
    async fn deadlines_that_are_given_up_leave_nothing() {
        in_a_worker(async {
            for _ in 0..100 {
                let wait = timeout(Duration::from_mins(9), tokio::task::yield_now());
                assert_eq!(wait.await, Ok(()));
            }
        })
        .await;
        assert_eq!(DEADLINES.with(|all| all.borrow().slots.len()), 1);
    }
}

//! Which connections a worker has, and whether they are to end.

use crate::observe::connection_gauge::{Counted, Tally};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    task::{Poll, Waker},
};
use tokio::sync::Notify;

/// Whether connections go on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    /// Each is told with its next answer that it is the last one.
    Leaving,
    /// Each ends after the request that it serves, idle ones at once.
    Closing,
    /// Each ends now, whatever it serves.
    Cut,
}

/// Which connections there are, and whether they are to end.
#[derive(Default)]
pub(crate) struct Connections {
    next: Cell<u64>,
    /// By connection; none of those whose task has not run yet.
    wakers: RefCell<HashMap<u64, Option<Waker>>>,
    phase: Cell<Phase>,
    emptied: Notify,
    tally: Arc<Tally>,
}

impl Connections {
    /// None so far; counted there.
    pub(crate) fn new(tally: &Arc<Tally>) -> Self {
        Self {
            tally: Arc::clone(tally),
            ..Self::default()
        }
    }

    pub(crate) fn are_closing(&self) -> bool {
        matches!(self.phase.get(), Phase::Closing | Phase::Cut)
    }

    pub(crate) fn are_cut(&self) -> bool {
        self.phase.get() == Phase::Cut
    }

    pub(crate) fn are_open(&self) -> bool {
        self.phase.get() == Phase::Open
    }

    /// Lets each end with its next answer, so that no client finds its
    /// connection closed just when it sends a request.
    pub(crate) fn take_leave(&self) {
        self.phase.set(Phase::Leaving);
        self.wake();
    }

    /// Lets each end after the request that it serves.
    pub(crate) fn close(&self) {
        self.phase.set(Phase::Closing);
        self.wake();
    }

    /// Whoever is dropped from now on was not given up by its client.
    pub(crate) fn cut(&self) {
        self.phase.set(Phase::Cut);
    }

    fn wake(&self) {
        for waker in self.wakers.borrow().values().flatten() {
            waker.wake_by_ref();
        }
    }

    /// Waits until there is none.
    pub(crate) async fn emptied(&self) {
        while !self.wakers.borrow().is_empty() {
            self.emptied.notified().await;
        }
    }

    pub(crate) fn enter(&self) -> u64 {
        let id = self.next.get();
        self.next.set(id + 1);
        self.wakers.borrow_mut().insert(id, None);
        self.tally.add(Counted::Connection);
        id
    }

    pub(crate) fn leave(&self, id: u64) {
        let mut wakers = self.wakers.borrow_mut();
        wakers.remove(&id);
        self.tally.subtract(Counted::Connection);
        if wakers.is_empty() {
            self.emptied.notify_one();
        }
    }
}

/// A connection's entry; dropped with its task, also by a panic.
pub(crate) struct ConnectionEntry {
    pub(crate) connections: Rc<Connections>,
    id: u64,
}

impl ConnectionEntry {
    /// Enters a connection as soon as it is accepted: a drain that begins
    /// before its task first runs waits for it, too.
    pub(crate) fn new(connections: &Rc<Connections>) -> Self {
        Self {
            id: connections.enter(),
            connections: Rc::clone(connections),
        }
    }

    /// Lets the task be woken when its connection is to end. A task's waker
    /// stays the same, so once is enough.
    pub(crate) async fn register(&self) {
        let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        let mut wakers = self.connections.wakers.borrow_mut();
        wakers.insert(self.id, Some(waker));
    }
}

impl Drop for ConnectionEntry {
    fn drop(&mut self) {
        self.connections.leave(self.id);
    }
}

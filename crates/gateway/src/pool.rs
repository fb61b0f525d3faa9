//! Idle connections to the upstreams, one pool per worker.

use crate::{link::Link, table::UpstreamIndex};
use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

/// The most idle connections to one upstream that a worker keeps: what 256
/// busy clients leave behind, and 3 MiB.
const IDLE_LINKS_MAX: usize = 256;

/// Idle connections. The last one given back is taken first, so that those
/// not needed get old and are closed.
pub(crate) struct Pool {
    idle: Vec<RefCell<Vec<Link>>>,
    idle_max: Duration,
}

impl Pool {
    pub(crate) fn new(upstreams: usize, idle_max: Duration) -> Rc<Self> {
        let idle = (0..upstreams).map(|_| RefCell::default()).collect();
        Rc::new(Self { idle, idle_max })
    }

    /// Takes a connection that is neither too old nor known to be closed.
    pub(crate) fn take(&self, upstream: UpstreamIndex) -> Option<Link> {
        let mut idle = self.idle[upstream.get()].borrow_mut();
        while let Some(mut link) = idle.pop() {
            if link.idle_since.elapsed() >= self.idle_max {
                // All below it are older still.
                idle.clear();
                break;
            }
            link.drive_idly();
            if link.is_ready() {
                return Some(link);
            }
        }
        None
    }

    /// Takes a connection for a request that must not be repeated: the
    /// operating system is asked first whether the peer has closed it.
    pub(crate) async fn take_fresh(&self, upstream: UpstreamIndex) -> Option<Link> {
        loop {
            let mut link = self.take(upstream)?;
            // The runtime learns of closed connections only when it polls the
            // operating system, which it does before this comes back.
            tokio::task::yield_now().await;
            link.drive_idly();
            if link.is_ready() {
                return Some(link);
            }
        }
    }

    /// Keeps a connection, where it can take another request.
    pub(crate) fn give_back(&self, mut link: Link) {
        if link.is_ready() {
            let mut idle = self.idle[link.upstream().get()].borrow_mut();
            if idle.len() < IDLE_LINKS_MAX {
                link.idle_since = Instant::now();
                idle.push(link);
            }
        }
    }

    /// Closes what is too old or was closed by the upstream.
    pub(crate) fn sweep(&self) {
        for idle in &self.idle {
            idle.borrow_mut().retain_mut(|link| {
                link.drive_idly();
                link.is_ready() && link.idle_since.elapsed() < self.idle_max
            });
        }
    }
}

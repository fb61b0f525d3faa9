//! Idle connections to an upstream, one pool per worker.

use super::{
    http1::Link,
    loads::{Busy, Loads},
    upstreams::Upstream,
};
use std::{cell::RefCell, rc::Rc, sync::Arc, time::Instant};

/// The most idle connections to one instance that a worker keeps: what 256
/// busy clients leave behind, and 3 MiB.
const IDLE_LINKS_MAX: usize = 256;

/// Idle connections, by instance. The last one given back is taken first, so
/// that those not needed get old and are closed.
pub(crate) struct Pool {
    pub(crate) upstream: Arc<Upstream>,
    loads: Arc<Loads>,
    idle: Vec<RefCell<Vec<Link>>>,
}

impl Pool {
    pub(crate) fn new(upstream: &Arc<Upstream>, loads: &Arc<Loads>) -> Rc<Self> {
        let none = |_: &_| RefCell::default();
        Rc::new(Self {
            loads: Arc::clone(loads),
            idle: upstream.instances.iter().map(none).collect(),
            upstream: Arc::clone(upstream),
        })
    }

    /// A request at an instance begins.
    pub(crate) fn busy(&self, instance: usize) -> Busy {
        Busy::new(&self.loads, instance)
    }

    /// Takes a connection that is neither too old nor known to be closed. Of one
    /// that was closed just now nobody knows: writing to it may fail.
    pub(crate) fn take(&self, instance: usize, now: Instant) -> Option<Link> {
        let mut idle = self.idle[instance].borrow_mut();
        let mut taken = None;
        while let Some(mut link) = idle.pop() {
            if now.saturating_duration_since(link.idle_since()) >= self.upstream.idle_max() {
                // All below it are older still.
                idle.clear();
                break;
            }
            if link.is_quiet() {
                link.begin(self.busy(instance));
                taken = Some(link);
                break;
            }
        }
        self.loads.set_idle(instance, idle.len());
        taken
    }

    /// Takes a connection for a request that must not be repeated: the
    /// operating system is asked first whether the peer has closed it.
    pub(crate) async fn take_fresh(&self, instance: usize, now: Instant) -> Option<Link> {
        loop {
            let mut link = self.take(instance, now)?;
            // The runtime learns of closed connections only when it polls the
            // operating system, which it does before this comes back.
            tokio::task::yield_now().await;
            if link.is_quiet() {
                return Some(link);
            }
        }
    }

    /// Keeps a connection, where it can take another request.
    pub(crate) fn give_back(&self, mut link: Link) {
        let Some(instance) = link.end() else { return };
        if link.is_reusable() {
            let mut idle = self.idle[instance].borrow_mut();
            if idle.len() < IDLE_LINKS_MAX {
                idle.push(link);
                self.loads.set_idle(instance, idle.len());
            }
        }
    }

    /// Closes what is too old or was closed by the upstream.
    pub(crate) fn sweep(&self) {
        for (instance, idle) in self.idle.iter().enumerate() {
            let mut idle = idle.borrow_mut();
            idle.retain_mut(|link| {
                link.is_quiet() && link.idle_since().elapsed() < self.upstream.idle_max()
            });
            self.loads.set_idle(instance, idle.len());
        }
    }
}

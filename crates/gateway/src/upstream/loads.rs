//! How much one worker has in flight and idle at each instance.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// What one worker has at each instance of an upstream; only that worker writes, the report
/// and the metrics read.
#[derive(Debug)]
pub(crate) struct Loads {
    in_flight: Box<[AtomicU32]>,
    idle: Box<[AtomicU32]>,
}

impl Loads {
    pub(crate) fn new(instances: usize) -> Self {
        let zeros = || (0..instances).map(|_| AtomicU32::new(0)).collect();
        Self {
            in_flight: zeros(),
            idle: zeros(),
        }
    }

    /// Requests at an instance.
    pub(crate) fn in_flight(&self, instance: usize) -> u32 {
        self.in_flight[instance].load(Ordering::Relaxed)
    }

    /// Idle connections to an instance.
    pub(crate) fn idle(&self, instance: usize) -> u32 {
        self.idle[instance].load(Ordering::Relaxed)
    }

    pub(crate) fn set_idle(&self, instance: usize, connections: usize) {
        let connections = u32::try_from(connections).unwrap_or(u32::MAX);
        self.idle[instance].store(connections, Ordering::Relaxed);
    }
}

/// A request at an instance; counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Busy {
    loads: Arc<Loads>,
    instance: usize,
}

impl Busy {
    pub(crate) fn new(loads: &Arc<Loads>, instance: usize) -> Self {
        let count = &loads.in_flight[instance];
        // One thread writes, so this needs no atomic addition.
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        Self {
            loads: Arc::clone(loads),
            instance,
        }
    }

    /// The place of the instance in its upstream.
    pub(crate) fn instance(&self) -> usize {
        self.instance
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let count = &self.loads.in_flight[self.instance];
        count.store(count.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
    }
}

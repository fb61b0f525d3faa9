//! How many comparisons and copies one worker has under way.

use std::sync::Arc;
use tokio::sync::Semaphore;

/// The most comparisons of one worker at once; with the largest answer they
/// bound its memory to 16 MiB. Enough for 8 differing reads a second.
const COMPARISONS_MAX: usize = 8;

/// The most copies of writes of one worker at once, whose bodies are at most
/// 1 MiB each.
const WRITES_MAX: usize = 8;

/// The copies that a worker has under way, under whatever plan.
#[derive(Debug, Clone)]
pub(crate) struct Copies {
    pub(crate) reads: Arc<Semaphore>,
    pub(crate) writes: Arc<Semaphore>,
}

impl Copies {
    pub(crate) fn new() -> Self {
        Self {
            reads: Arc::new(Semaphore::new(COMPARISONS_MAX)),
            writes: Arc::new(Semaphore::new(WRITES_MAX)),
        }
    }
}

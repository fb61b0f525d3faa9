//! Copies of reads, asked of both sides and compared; and copies of writes, for
//! a service that may be spoiled.
//!
//! The client's own request is not touched: a comparison is made of requests of
//! its own, after the same head, beside it. So it can neither slow the client
//! nor show it anything, and nothing of an answer on its way is kept; what it
//! costs is one more read of each side for the share that the plan names, and
//! another where they differ. Its results count for no
//! breaker, no ejection and no retry budget, and where a breaker is open
//! nothing is asked.
//!
//! - `compare`: two answers, field by field.
//! - `verdict`: what two pairs of answers prove.
//! - `probe`: asking, waiting, asking again.
//! - `writes`: copies to the scratch upstream.
//! - `ledger`: what was found.

pub(crate) mod compare;
pub(crate) mod ledger;
pub(crate) mod metrics;
pub(crate) mod settings;
pub(crate) mod verdict;

use metrics::ShadowMetrics;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use tokio::sync::Semaphore;

pub(crate) use ledger::Ledger;
pub use ledger::{Declaration, ReadCounts, ShadowExample, ShadowField, ShadowReport, WriteCounts};

/// What all workers share of copies.
#[derive(Debug)]
pub(crate) struct Shadows {
    pub(crate) metrics: ShadowMetrics,
    /// One pair of answers is compared at a time: large documents take time and
    /// many times their size in memory.
    pub(crate) turn: Arc<Semaphore>,
}

impl Shadows {
    pub(crate) fn new() -> Self {
        Self {
            metrics: ShadowMetrics::default(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry);
    }
}

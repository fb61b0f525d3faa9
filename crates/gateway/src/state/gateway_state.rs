//! What all workers share from start to end: who owns, and what was written.

use super::{
    failed_answers::FailedAnswers,
    hold::Ledger,
    old_ways::OldWays,
    pins::{CLIENTS_MAX, Pins},
    release_order::ReleaseOrder,
};
use crate::{
    Positions,
    base::index::ExtractionIndex,
    body::SpoolUsage,
    observe::{Observatory, metrics::Metrics},
    routing::{
        decision::Lease,
        snapshot::{Ownership, Snapshot},
    },
    shadow::{self, Shadows},
};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use plan::{Data, ExtractionName, Plan};
use protocol::routing::Routing;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// What all workers share of one extraction.
pub(crate) struct ExtractionState {
    pub(crate) name: ExtractionName,
    data: Data,
    pub(crate) pins: Pins,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) shadow: shadow::Ledger,
    pub(crate) keys: KeyCounts,
    pub(crate) old_ways: OldWays,
}

/// How many reads carried the key of their client.
#[derive(Debug, Default)]
pub(crate) struct KeyCounts {
    with: AtomicU64,
    without: AtomicU64,
}

impl KeyCounts {
    pub(crate) fn count(&self, has_key: bool) {
        let count = if has_key { &self.with } else { &self.without };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// With it, and without.
    pub(crate) fn read(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.with), read(&self.without))
    }
}

/// What all workers share, whatever becomes of the plan.
pub(crate) struct GatewayState {
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) positions: Arc<dyn Positions>,
    pub(crate) metrics: Metrics,
    pub(crate) shadows: Shadows,
    pub(crate) failed_answers: FailedAnswers,
    pub(crate) observatory: Observatory,
    pub(crate) spool_usage: SpoolUsage,
    pub(crate) release_order: Arc<ReleaseOrder>,
    extractions: Vec<ExtractionState>,
    publishing: Mutex<()>,
    started: Instant,
    /// When the lease ends, in nanoseconds from `started`.
    lease_end: AtomicU64,
}

impl GatewayState {
    pub(crate) fn new(
        plan: &Plan,
        positions: Arc<dyn Positions>,
        observatory: Observatory,
    ) -> Self {
        let metrics = Metrics::new(plan.gateway.observe.native_histograms);
        // Unpredictable, so that nobody can aim at another client's pin.
        let seed = uuid::Uuid::new_v4().as_u64_pair().1;
        let extraction = |entry: &plan::Extraction| ExtractionState {
            name: entry.name.clone(),
            data: entry.data.clone(),
            pins: Pins::new(seed, CLIENTS_MAX, plan.gateway.pin_wait, |side| {
                positions.applied(&entry.name, side)
            }),
            ledger: Ledger::new(
                entry.data.replicate().map(|data| &data.switch),
                metrics.hold(&entry.service),
            ),
            shadow: shadow::Ledger::default(),
            keys: KeyCounts::default(),
            old_ways: OldWays::default(),
        };
        Self {
            extractions: plan.extractions.values().map(extraction).collect(),
            snapshot: ArcSwap::from_pointee(Snapshot::empty(plan.extractions.len())),
            positions,
            spool_usage: SpoolUsage::new(&metrics.spooled_bytes),
            release_order: Arc::default(),
            metrics,
            shadows: Shadows::new(),
            failed_answers: FailedAnswers::default(),
            observatory,
            publishing: Mutex::default(),
            started: Instant::now(),
            lease_end: AtomicU64::new(0),
        }
    }

    pub(crate) fn extraction(&self, extraction: ExtractionIndex) -> &ExtractionState {
        &self.extractions[extraction.get()]
    }

    /// All extractions, in the order of the plan.
    pub(crate) fn all(&self) -> impl Iterator<Item = (ExtractionIndex, &ExtractionState)> {
        let all = self.extractions.iter().enumerate();
        all.map(|(at, extraction)| (ExtractionIndex::new(at), extraction))
    }

    pub(crate) fn find(&self, name: &ExtractionName) -> Option<ExtractionIndex> {
        self.all()
            .find_map(|(index, one)| (one.name == *name).then_some(index))
    }

    /// Who owns an extraction now, or owned it last.
    pub(crate) fn ownership(&self, extraction: ExtractionIndex) -> Option<Ownership> {
        self.snapshot.load().routing_state(extraction).ownership()
    }

    /// Swaps the routing. Returns the extractions whose owner became known by
    /// it, each of which needs a first sample.
    pub(crate) fn publish(&self, routing: &Routing) -> Vec<(ExtractionIndex, Ownership)> {
        let _one_at_a_time = self.publishing.lock();
        let before = self.snapshot.load_full();
        let all = self.extractions.iter().map(|one| (&one.name, &one.data));
        let after = Arc::new(before.after(all, routing));
        let mut known = Vec::new();
        for (extraction, state) in self.all() {
            let (old, new) = (
                before.routing_state(extraction),
                after.routing_state(extraction),
            );
            if new.holds() && !old.holds() {
                state.ledger.begin();
            }
            if let (None, Some(owner)) = (old.ownership(), new.ownership()) {
                // Before the swap, so that no reader sees the owner without it.
                state.pins.start(owner);
                known.push((extraction, owner));
            }
        }
        self.snapshot.store(Arc::clone(&after));
        for (extraction, state) in self.all() {
            if before.routing_state(extraction).ownership()
                != after.routing_state(extraction).ownership()
            {
                state.pins.announce();
            }
        }
        known
    }

    /// Extends the lease.
    pub(crate) fn renew_lease(&self, until: Instant) {
        let end = nanos(until.saturating_duration_since(self.started));
        self.lease_end.fetch_max(end, Ordering::AcqRel);
    }

    pub(crate) fn lease(&self) -> Lease {
        if nanos(self.started.elapsed()) < self.lease_end.load(Ordering::Acquire) {
            Lease::Running
        } else {
            Lease::Ended
        }
    }

    /// Forgets pins that bind nothing any more.
    pub(crate) fn sweep(&self) {
        for (extraction, state) in self.all() {
            state.pins.sweep(self.ownership(extraction));
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

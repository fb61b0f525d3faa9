//! What all workers share.

use crate::{
    Positions,
    access::Access,
    decision::Lease,
    guard,
    hold::Ledger,
    metrics::Metrics,
    pins::{CLIENTS_MAX, Pins},
    snapshot::{Ownership, Snapshot},
    table::{ExtractionIndex, Table},
    upstream::Upstreams,
};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use plan::{Plan, ServiceName};
use protocol::routing::Routing;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// What all workers share of one extraction.
pub(crate) struct Extraction {
    pub(crate) pins: Pins,
    pub(crate) ledger: Arc<Ledger>,
}

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) table: Table,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) settings: plan::Gateway,
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) positions: Arc<dyn Positions>,
    pub(crate) metrics: Metrics,
    pub(crate) guard: Arc<guard::Policy>,
    pub(crate) access: Access,
    extractions: Vec<Extraction>,
    publishing: Mutex<()>,
    started: Instant,
    /// When the lease ends, in nanoseconds from `started`.
    lease_end: AtomicU64,
}

impl Shared {
    pub(crate) fn new(plan: &Plan, positions: Arc<dyn Positions>, access: Access) -> Self {
        let table = Table::new(plan);
        let metrics = Metrics::default();
        // Unpredictable, so that nobody can aim at another client's pin.
        let seed = uuid::Uuid::new_v4().as_u64_pair().1;
        let extraction = |entry: &crate::table::Entry| Extraction {
            pins: Pins::new(seed, CLIENTS_MAX, plan.gateway.pin_wait, |side| {
                positions.applied(&entry.name, side)
            }),
            ledger: Ledger::new(&entry.switch, metrics.hold(&entry.service)),
        };
        Self {
            extractions: table.all().map(|(_, entry)| extraction(entry)).collect(),
            snapshot: ArcSwap::from_pointee(Snapshot::empty(&table)),
            table,
            upstreams: Upstreams::new(plan),
            settings: plan.gateway.clone(),
            positions,
            guard: guard::Policy::new(&plan.gateway.client, &metrics),
            metrics,
            access,
            publishing: Mutex::default(),
            started: Instant::now(),
            lease_end: AtomicU64::new(0),
        }
    }

    pub(crate) fn extraction(&self, extraction: ExtractionIndex) -> &Extraction {
        &self.extractions[extraction.get()]
    }

    /// The service that an extraction moves to.
    pub(crate) fn service(&self, extraction: ExtractionIndex) -> &ServiceName {
        &self.table.entry(extraction).service
    }

    /// Who owns an extraction now, or owned it last.
    pub(crate) fn ownership(&self, extraction: ExtractionIndex) -> Option<Ownership> {
        self.snapshot.load().standing(extraction).ownership()
    }

    /// Swaps the routing. Returns the extractions whose owner became known by
    /// it, each of which needs a first sample.
    pub(crate) fn publish(&self, routing: &Routing) -> Vec<(ExtractionIndex, Ownership)> {
        let _one_at_a_time = self.publishing.lock();
        let before = self.snapshot.load_full();
        let after = Arc::new(before.after(&self.table, routing));
        let mut known = Vec::new();
        for (extraction, _) in self.table.all() {
            let (old, new) = (before.standing(extraction), after.standing(extraction));
            let shared = self.extraction(extraction);
            if new.holds() && !old.holds() {
                shared.ledger.begin();
            }
            if let (None, Some(owner)) = (old.ownership(), new.ownership()) {
                // Before the swap: nobody may see the owner without it.
                shared.pins.start(owner);
                known.push((extraction, owner));
            }
        }
        self.snapshot.store(Arc::clone(&after));
        for (extraction, _) in self.table.all() {
            if before.standing(extraction).ownership() != after.standing(extraction).ownership() {
                self.extraction(extraction).pins.announce();
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
        for (extraction, _) in self.table.all() {
            self.extraction(extraction)
                .pins
                .sweep(self.ownership(extraction));
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

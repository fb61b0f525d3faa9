//! Whether both sides still have traffic.
//!
//! A side that falls silent adds no evidence, so what was shown would stay shown
//! for ever. Silence is told from few requests by how many there should have
//! been.

use crate::{baseline::float, block::Block};
use serde::{Deserialize, Serialize};

/// Silent where so many requests should have come by the other side's traffic.
/// That none comes by chance has a probability of e^-20.
const EXPECTED_BESIDE: f64 = 20.0;
/// The same by its own traffic before, which nights may make less.
const EXPECTED_ALONE: f64 = 100.0;

/// What both sides had.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Flow {
    blocks: u64,
    service: SideFlow,
    monolith: SideFlow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct SideFlow {
    requests: u64,
    /// Since its last request: blocks, and requests of the other side.
    silent_blocks: u64,
    missed: u64,
}

impl SideFlow {
    fn add(&mut self, own: u64, other: u64) {
        if own > 0 {
            self.requests = self.requests.saturating_add(own);
            (self.silent_blocks, self.missed) = (0, 0);
        } else {
            self.silent_blocks += 1;
            self.missed = self.missed.saturating_add(other);
        }
    }

    fn is_silent(&self, other: &Self, blocks: u64) -> bool {
        let had = float(self.requests);
        let before = float(other.requests.saturating_sub(self.missed)).max(1.0);
        let busy = float(blocks.saturating_sub(self.silent_blocks)).max(1.0);
        float(self.missed) * had / before >= EXPECTED_BESIDE
            || float(self.silent_blocks) * had / busy >= EXPECTED_ALONE
    }
}

impl Flow {
    pub(crate) fn add(&mut self, block: &Block) {
        let (service, monolith) = (block.service.requests(), block.monolith.requests());
        self.blocks += 1;
        self.service.add(service, monolith);
        self.monolith.add(monolith, service);
    }

    pub(crate) fn service_is_silent(&self) -> bool {
        self.service.is_silent(&self.monolith, self.blocks)
    }

    /// Also one that has never had any while the service has.
    pub(crate) fn monolith_is_silent(&self) -> bool {
        let never = self.monolith.requests == 0 && self.service.requests > 0;
        never || self.monolith.is_silent(&self.service, self.blocks)
    }

    pub(crate) fn requests(&self) -> u64 {
        self.service.requests
    }
}

//! What the gateways are told: an immutable picture, swapped whole.

use crate::{Epoch, InstanceId, Side};
use plan::{ExtractionName, Percent};
use std::collections::BTreeMap;

/// The routing of all extractions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Routing {
    /// By extraction. One that is missing has no known owner: 503.
    pub extractions: BTreeMap<ExtractionName, ExtractionRouting>,
}

/// The routing of one extraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExtractionRouting {
    /// The life that it follows from; none before the first and after the last.
    pub instance: Option<InstanceId>,
    /// The decision it follows from. A gateway refuses an older one.
    pub epoch: Epoch,
    /// What happens to writes.
    pub writes: Writes,
    /// The share of clients whose reads go to the service.
    pub reads: Percent,
    /// Whether the side that does not own is kept up to date: what it answers is late
    /// by what flows, and by no more.
    pub follows: bool,
}

/// What happens to an extraction's writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Writes {
    /// They go to the owner.
    To(Side),
    /// They wait, within bounds, for a routing of at least this epoch that
    /// says `To`. Reads see `from` as the owner meanwhile.
    Hold {
        /// The owner until the hold.
        from: Side,
    },
    /// The owner is not known for now: 503 with Retry-After, unsent.
    Refuse,
    /// Either side may write, since both work on the same tables: those of this
    /// share of clients go to the service. Only where the plan says so.
    Split(Percent),
}

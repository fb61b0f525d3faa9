//! Log positions, as the gateway asks for them.

use super::local_mover::LocalMover;
use gateway::Sample;
use plan::ExtractionName;
use protocol::{Lsn, Side};
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::watch;

pub(super) struct Positions {
    movers: BTreeMap<ExtractionName, Arc<LocalMover>>,
}

impl Positions {
    pub(super) fn new(movers: &BTreeMap<ExtractionName, Arc<LocalMover>>) -> Self {
        Self {
            movers: movers.clone(),
        }
    }
}

impl gateway::Positions for Positions {
    fn sample(&self, extraction: &ExtractionName, side: Side) -> Sample {
        let mover = self.movers.get(extraction).cloned();
        Box::pin(async move { mover?.sample(side).await })
    }

    fn applied(&self, extraction: &ExtractionName, source: Side) -> watch::Receiver<Lsn> {
        match self.movers.get(extraction) {
            Some(mover) => mover.applied(source),
            // Where both sides share the data, nothing is ever behind.
            None => watch::channel(Lsn::default()).1,
        }
    }
}

//! The routing of all extractions together, which the gateways get whole.

use crate::ports::Gateways;
use plan::{ExtractionName, Percent, Plan};
use protocol::{
    Epoch,
    routing::{ExtractionRouting, Routing, Writes},
};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) struct Routes {
    routing: Mutex<Routing>,
    gateways: Arc<dyn Gateways>,
}

impl Routes {
    /// Until a worker knows better, nobody knows the owner.
    pub(crate) fn new(plan: &Plan, gateways: Arc<dyn Gateways>) -> Self {
        let unknown = ExtractionRouting {
            epoch: Epoch(0),
            writes: Writes::Refuse,
            reads: Percent::ZERO,
        };
        let extractions = plan
            .extractions
            .keys()
            .map(|name| (name.clone(), unknown))
            .collect();
        let routing = Routing { extractions };
        gateways.publish(routing.clone());
        Self {
            routing: Mutex::new(routing),
            gateways,
        }
    }

    /// Changes one extraction's routing, and tells the gateways if it differs.
    pub(crate) fn set(&self, extraction: &ExtractionName, routing: ExtractionRouting) {
        let mut all = self.routing.lock().unwrap_or_else(PoisonError::into_inner);
        if all.extractions.insert(extraction.clone(), routing) != Some(routing) {
            // Published under the lock: two workers' pictures stay in order.
            self.gateways.publish(all.clone());
        }
    }
}

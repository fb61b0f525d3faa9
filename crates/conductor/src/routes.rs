//! The routing of all extractions together, which the gateways get whole.

use crate::ports::Gateways;
use plan::{ExtractionName, Percent, Plan};
use protocol::{
    Epoch,
    routing::{ExtractionRouting, Routing, Writes},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub(crate) struct Routes {
    published: Mutex<Published>,
    gateways: Arc<dyn Gateways>,
}

struct Published {
    routing: Routing,
    bases: BTreeMap<ExtractionName, Base>,
}

/// What is added to the epochs of an extraction's present life. One that was
/// cancelled and is begun anew counts from 0 again, and gateways ignore whatever
/// is older than what they have.
#[derive(Debug, Clone, Copy, Default)]
struct Base(u64);

impl Base {
    fn published(self, epoch: Epoch) -> Epoch {
        Epoch(self.0 + epoch.0)
    }

    /// That of another life, where epochs of the last one were spent.
    fn after(self, last: Epoch) -> Self {
        if last.0 > self.0 {
            Self(last.0 + 1)
        } else {
            self
        }
    }
}

impl Routes {
    /// Until a worker knows better, nobody knows the owner.
    pub(crate) fn new(plan: &Plan, gateways: Arc<dyn Gateways>) -> Self {
        Self::of(plan.extractions.keys(), gateways)
    }

    fn of<'a>(
        names: impl Iterator<Item = &'a ExtractionName>,
        gateways: Arc<dyn Gateways>,
    ) -> Self {
        let unknown = ExtractionRouting {
            epoch: Epoch(0),
            writes: Writes::Refuse,
            reads: Percent::ZERO,
        };
        let extractions = names.map(|name| (name.clone(), unknown)).collect();
        let routing = Routing { extractions };
        gateways.publish(routing.clone());
        let bases = BTreeMap::new();
        Self {
            published: Mutex::new(Published { routing, bases }),
            gateways,
        }
    }

    /// Changes one extraction's routing, and tells the gateways if it differs.
    /// `begins`: it is at the beginning of a life, in which no epoch is spent.
    pub(crate) fn set(
        &self,
        extraction: &ExtractionName,
        routing: ExtractionRouting,
        begins: bool,
    ) {
        let mut published = self.published();
        let Published {
            routing: all,
            bases,
        } = &mut *published;
        let base = bases.entry(extraction.clone()).or_default();
        if let Some(last) = all.extractions.get(extraction).filter(|_| begins) {
            *base = base.after(last.epoch);
        }
        let routing = ExtractionRouting {
            epoch: base.published(routing.epoch),
            ..routing
        };
        if all.extractions.insert(extraction.clone(), routing) != Some(routing) {
            // Published under the lock: two workers' pictures stay in order.
            self.gateways.publish(all.clone());
        }
    }

    /// An epoch as the gateways know it.
    pub(crate) fn epoch(&self, extraction: &ExtractionName, epoch: Epoch) -> Epoch {
        let bases = &self.published().bases;
        let base = bases.get(extraction).copied().unwrap_or_default();
        base.published(epoch)
    }

    fn published(&self) -> MutexGuard<'_, Published> {
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::HoldReport;
    use async_trait::async_trait;
    use protocol::{GatewayId, Side};
    use std::{collections::BTreeSet, time::Duration};

    #[derive(Default)]
    struct Recorder(Mutex<Vec<ExtractionRouting>>);

    #[async_trait]
    impl Gateways for Recorder {
        fn live(&self) -> BTreeSet<GatewayId> {
            BTreeSet::new()
        }

        fn publish(&self, routing: Routing) {
            let only = routing.extractions.values().next().copied();
            self.0.lock().unwrap().extend(only);
        }

        fn renew_lease(&self, _: Duration) {}

        async fn held(&self, _: GatewayId, _: &ExtractionName, _: Epoch) {}

        async fn hold_report(&self, _: &ExtractionName) -> HoldReport {
            HoldReport::default()
        }
    }

    #[test]
    fn a_life_after_a_cancel_is_newer_than_the_one_before() {
        let name = ExtractionName::new("contracts").unwrap();
        let gateways = Arc::new(Recorder::default());
        let routes = Routes::of([&name].into_iter(), gateways.clone());
        let to = |epoch, reads| ExtractionRouting {
            epoch: Epoch(epoch),
            writes: Writes::To(Side::Monolith),
            reads: Percent::from_basis_points(reads).unwrap(),
        };
        let set = |routing, begins| routes.set(&name, routing, begins);
        set(to(0, 0), true);
        set(to(0, 10_000), false);
        // A switch that was aborted.
        set(to(1, 10_000), false);
        assert_eq!(routes.epoch(&name, Epoch(1)), Epoch(1));
        // Cancelled, and begun anew.
        set(to(0, 0), true);
        set(to(0, 0), true);
        set(to(0, 5_000), false);
        set(to(1, 5_000), false);
        let published = gateways.0.lock().unwrap();
        let seen: Vec<(u64, u16)> = published
            .iter()
            .map(|one| (one.epoch.0, one.reads.basis_points()))
            .collect();
        let wanted = [
            (0, 0),
            (0, 0),
            (0, 10_000),
            (1, 10_000),
            (2, 0),
            (2, 5_000),
            (3, 5_000),
        ];
        assert_eq!(seen, wanted);
        assert_eq!(routes.epoch(&name, Epoch(1)), Epoch(3));
    }
}

//! What the gateways have been told of all extractions together: they get it
//! whole.
//!
//! It lives as long as the gateways, not as long as a conductor: one that begins
//! where another one has stopped routes on as that one did, until its workers
//! have looked at the rows.

use crate::ports::Gateways;
use plan::{ExtractionName, Percent};
use protocol::{
    Epoch,
    routing::{ExtractionRouting, Routing, Writes},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// The way to the gateways.
pub struct Publisher {
    published: Mutex<Published>,
    gateways: Arc<dyn Gateways>,
    /// Of how many extractions something was told.
    told: watch::Sender<usize>,
}

#[derive(Default)]
struct Published {
    routing: Routing,
    offsets: BTreeMap<ExtractionName, EpochOffset>,
}

/// What is added to the epochs of an extraction's present life. One that was
/// cancelled and is begun anew counts from 0 again, and one whose journal was
/// lost may know less than the gateways, which ignore whatever is older than
/// what they have.
#[derive(Debug, Clone, Copy, Default)]
struct EpochOffset(u64);

impl EpochOffset {
    fn published(self, epoch: Epoch) -> Epoch {
        Epoch(self.0 + epoch.0)
    }

    /// The one in which this epoch is not older than the last.
    fn reaching(self, epoch: Epoch, last: Epoch) -> Self {
        if self.published(epoch) < last {
            Self(last.0 + 1)
        } else {
            self
        }
    }
}

impl Publisher {
    /// Nothing is published yet: nobody knows an owner.
    pub fn new(gateways: Arc<dyn Gateways>) -> Self {
        Self {
            published: Mutex::default(),
            gateways,
            told: watch::Sender::new(0),
        }
    }

    /// Waits until the gateways were told of so many extractions: of all, they
    /// refuse none for want of news. Cancel safe.
    pub async fn told(&self, extractions: usize) {
        // The sender is here, so it does not end.
        let _ = self
            .told
            .subscribe()
            .wait_for(|told| *told >= extractions)
            .await;
    }

    pub(crate) fn gateways(&self) -> &Arc<dyn Gateways> {
        &self.gateways
    }

    /// Changes one extraction's routing, and tells the gateways if it differs.
    pub(crate) fn set(&self, extraction: &ExtractionName, routing: ExtractionRouting) {
        let mut published = self.published();
        let Published {
            routing: all,
            offsets,
        } = &mut *published;
        let last = all.extractions.get(extraction).copied();
        let offset = offsets.entry(extraction.clone()).or_default();
        if let Some(last) = last {
            *offset = offset.reaching(routing.epoch, last.epoch);
        }
        let epoch = offset.published(routing.epoch);
        self.tell(all, extraction, ExtractionRouting { epoch, ..routing });
    }

    /// Has the gateways refuse the extraction, whatever they were told last.
    pub(crate) fn refuse(&self, extraction: &ExtractionName) {
        let mut published = self.published();
        let all = &mut published.routing;
        let last = all.extractions.get(extraction);
        let refused = ExtractionRouting {
            instance: last.and_then(|last| last.instance),
            epoch: last.map(|last| last.epoch).unwrap_or_default(),
            writes: Writes::Refuse,
            reads: Percent::ZERO,
            follows: false,
        };
        self.tell(all, extraction, refused);
    }

    /// With the lock in the caller's hand: two workers' pictures stay in order.
    fn tell(&self, all: &mut Routing, extraction: &ExtractionName, routing: ExtractionRouting) {
        if all.extractions.insert(extraction.clone(), routing) != Some(routing) {
            self.gateways.publish(all.clone());
            self.told.send_replace(all.extractions.len());
        }
    }

    /// An epoch as the gateways know it.
    pub(crate) fn epoch(&self, extraction: &ExtractionName, epoch: Epoch) -> Epoch {
        let offsets = &self.published().offsets;
        let offset = offsets.get(extraction).copied().unwrap_or_default();
        offset.published(epoch)
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
    use crate::ports::{HoldReport, InFlight};
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

        async fn in_flight(&self, _: GatewayId, _: &ExtractionName) -> Option<InFlight> {
            None
        }

        async fn hold_report(&self, _: &ExtractionName) -> HoldReport {
            HoldReport::default()
        }
    }

    const MONOLITH: Writes = Writes::To(Side::Monolith);
    const HOLD: Writes = Writes::Hold {
        from: Side::Monolith,
    };

    fn routing(epoch: u64, writes: Writes, reads: u16) -> ExtractionRouting {
        ExtractionRouting {
            instance: None,
            epoch: Epoch(epoch),
            writes,
            reads: Percent::from_basis_points(reads).unwrap(),
            follows: true,
        }
    }

    fn publisher() -> (ExtractionName, Arc<Recorder>, Publisher) {
        let name = ExtractionName::new("contracts").unwrap();
        let gateways = Arc::new(Recorder::default());
        let publisher = Publisher::new(gateways.clone());
        (name, gateways, publisher)
    }

    #[test]
    fn a_life_after_a_cancel_is_newer_than_the_one_before() {
        let (name, gateways, publisher) = publisher();
        let set = |epoch, reads| publisher.set(&name, routing(epoch, MONOLITH, reads));
        set(0, 0);
        set(0, 10_000);
        // A switch that was aborted.
        set(1, 10_000);
        assert_eq!(publisher.epoch(&name, Epoch(1)), Epoch(1));
        // Cancelled, and begun anew.
        set(0, 0);
        set(0, 0);
        set(0, 5_000);
        set(1, 5_000);
        let wanted = [
            (0, 0),
            (0, 10_000),
            (1, 10_000),
            (2, 0),
            (2, 5_000),
            (3, 5_000),
        ]
        .map(|(epoch, reads)| routing(epoch, MONOLITH, reads));
        assert_eq!(*gateways.0.lock().unwrap(), wanted);
        assert_eq!(publisher.epoch(&name, Epoch(1)), Epoch(3));
    }

    #[test]
    fn who_knows_less_than_the_gateways_is_heard_all_the_same() {
        let (name, gateways, publisher) = publisher();
        publisher.set(&name, routing(4, MONOLITH, 0));
        publisher.set(&name, routing(5, HOLD, 0));
        // The journal was lost before the fence; the rows know of 4 only.
        publisher.set(&name, routing(4, MONOLITH, 0));
        let told = gateways.0.lock().unwrap();
        let [.., held, last] = told[..] else {
            panic!("{told:?}");
        };
        assert!(last.epoch > held.epoch, "{told:?}");
        assert_eq!(last.writes, MONOLITH);
    }

    #[tokio::test]
    async fn whoever_waits_for_news_hears_once_all_have_some() {
        use futures_util::FutureExt;
        let (name, _, publisher) = publisher();
        let other = ExtractionName::new("users").unwrap();
        publisher.set(&name, routing(0, MONOLITH, 0));
        publisher.set(&name, routing(1, MONOLITH, 0));
        assert!(publisher.told(1).now_or_never().is_some());
        let mut both = std::pin::pin!(publisher.told(2));
        assert!(both.as_mut().now_or_never().is_none());
        publisher.set(&other, routing(0, MONOLITH, 0));
        both.await;
    }

    #[test]
    fn a_refusal_is_never_older_than_what_it_ends() {
        let (name, gateways, publisher) = publisher();
        publisher.refuse(&name);
        publisher.set(&name, routing(5, MONOLITH, 100));
        publisher.refuse(&name);
        publisher.refuse(&name);
        publisher.set(&name, routing(5, MONOLITH, 100));
        let refused = |epoch| ExtractionRouting {
            follows: false,
            ..routing(epoch, Writes::Refuse, 0)
        };
        let wanted = [
            refused(0),
            routing(5, MONOLITH, 100),
            refused(5),
            routing(5, MONOLITH, 100),
        ];
        assert_eq!(*gateways.0.lock().unwrap(), wanted);
    }
}

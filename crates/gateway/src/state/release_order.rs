//! The order in which the writes of one client are let go after a hold.
//!
//! What is held is woken by each worker for itself, and a write that comes when a hold
//! has just ended is not held at all: a later write of a client could overtake an
//! earlier one. So whoever is held is entered here under its client, and none of the
//! same client is let go before those that were entered earlier have gone, to the
//! upstream or away. Those of other clients do not wait for it.
//!
//! It ends with letting go: what is under way at an upstream at the same time has no
//! order, with a gateway or without.

use super::client_id::ClientId;
use crate::base::index::ExtractionIndex;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::oneshot;

/// A client as one of the extractions knows it.
pub(crate) type ClientOf = (ExtractionIndex, ClientId);

/// Those of one client, by the order in which they came; who waits is told.
type Waiting = BTreeMap<u64, Option<oneshot::Sender<()>>>;

/// The writes that were held and are not let go, over all workers.
#[derive(Debug, Default)]
pub(crate) struct ReleaseOrder {
    /// To leave the lock alone where there are none.
    count: AtomicUsize,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    by_client: HashMap<ClientOf, Waiting>,
}

/// A write in its order, until it is dropped.
#[derive(Debug)]
pub(crate) struct Ordered {
    order: Arc<ReleaseOrder>,
    /// Under every extraction that it writes to: entered all at once, so that no two
    /// wait for each other.
    clients: Vec<ClientOf>,
    number: u64,
}

impl ReleaseOrder {
    /// Whether anybody is in it at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Whether a write of these clients has to wait for another one.
    pub(crate) fn has(&self, clients: &[ClientOf]) -> bool {
        let entries = self.entries.lock();
        let is_in = |client| entries.by_client.contains_key(client);
        clients.iter().any(is_in)
    }

    /// Enters a write behind all that are here.
    pub(crate) fn enter(self: &Arc<Self>, mut clients: Vec<ClientOf>) -> Ordered {
        clients.dedup();
        let mut entries = self.entries.lock();
        let number = entries.next;
        entries.next += 1;
        for client in &clients {
            let waiting = entries.by_client.entry(*client).or_default();
            waiting.insert(number, None);
        }
        self.count.fetch_add(1, Ordering::AcqRel);
        drop(entries);
        Ordered {
            order: Arc::clone(self),
            clients,
            number,
        }
    }
}

impl Ordered {
    /// Where it has to wait for another one, what tells it that this has gone.
    fn blocked(&self) -> Option<oneshot::Receiver<()>> {
        let mut entries = self.order.entries.lock();
        self.clients.iter().find_map(|client| {
            let waiting = entries.by_client.get_mut(client)?;
            let (first, _) = waiting.first_key_value()?;
            if *first == self.number {
                return None;
            }
            let (tell, told) = oneshot::channel();
            waiting.insert(self.number, Some(tell));
            Some(told)
        })
    }

    /// Whether no other one goes before it.
    pub(crate) fn is_first(&self) -> bool {
        self.blocked().is_none()
    }

    /// Waits until it is the first.
    pub(crate) async fn first(&self) {
        while let Some(told) = self.blocked() {
            // Sender dropped: another wait of this one has taken its place.
            let _ = told.await;
        }
    }
}

impl Drop for Ordered {
    fn drop(&mut self) {
        let mut entries = self.order.entries.lock();
        for client in &self.clients {
            let Some(waiting) = entries.by_client.get_mut(client) else {
                continue;
            };
            waiting.remove(&self.number);
            match waiting.first_entry() {
                None => {
                    entries.by_client.remove(client);
                }
                Some(mut first) => {
                    if let Some(tell) = first.get_mut().take() {
                        let _ = tell.send(());
                    }
                }
            }
        }
        self.order.count.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(extraction: usize, client: &[u8]) -> ClientOf {
        (ExtractionIndex::new(extraction), ClientId::of(client, 7))
    }

    #[tokio::test]
    async fn those_of_one_client_go_one_after_the_other() {
        let order = Arc::<ReleaseOrder>::default();
        let [one, other] = [of(0, b"1"), of(0, b"2")];
        assert!(order.is_empty() && !order.has(&[one]));
        let [first, second, third] = [0; 3].map(|_| order.enter(vec![one]));
        let apart = order.enter(vec![other]);
        assert!(order.has(&[one]) && order.has(&[of(1, b"1"), other]));
        assert!(!order.has(&[of(1, b"1")]));
        assert!(first.is_first() && apart.is_first());
        assert!(!second.is_first() && !third.is_first());
        let waiting = tokio::spawn(async move {
            third.first().await;
            third
        });
        tokio::task::yield_now().await;
        // It goes away, as its client did.
        drop(second);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        let third = waiting.await.unwrap();
        assert!(order.has(&[one]));
        drop((third, apart));
        assert!(order.is_empty() && !order.has(&[one, other]));
    }

    #[tokio::test]
    async fn one_of_two_extractions_waits_in_both() {
        let order = Arc::<ReleaseOrder>::default();
        let (a, b) = (of(0, b"1"), of(1, b"1"));
        let (in_a, in_b) = (order.enter(vec![a]), order.enter(vec![b]));
        let both = order.enter(vec![a, b]);
        let behind = order.enter(vec![b, a]);
        let waiting = tokio::spawn(async move {
            both.first().await;
        });
        drop(in_a);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished() && !behind.is_first());
        drop(in_b);
        waiting.await.unwrap();
        behind.first().await;
    }
}

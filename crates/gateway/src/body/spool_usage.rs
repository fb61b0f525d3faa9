//! How much of bodies is in files: in all, and of each client's.

use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// How much of bodies is in files, over all workers and whatever becomes of the plan.
#[derive(Debug, Clone, Default)]
pub(crate) struct SpoolUsage {
    /// Also for the metrics.
    used: Gauge,
    /// Of those that have any now: as many as have a body in a file.
    by_client: Arc<Mutex<HashMap<IpAddr, u64>>>,
}

/// What one body takes up; given back on drop.
#[derive(Debug)]
pub(super) struct Share {
    usage: SpoolUsage,
    client: Option<IpAddr>,
    /// Grown by who spools alone.
    bytes: AtomicU64,
}

impl SpoolUsage {
    /// `used` counts what is in files.
    pub(crate) fn new(used: &Gauge) -> Self {
        Self {
            used: used.clone(),
            by_client: Arc::default(),
        }
    }

    /// For a body of a client, as far as that is known.
    pub(super) fn share(&self, client: Option<IpAddr>) -> Share {
        Share {
            usage: self.clone(),
            client: client.map(network),
            bytes: AtomicU64::new(0),
        }
    }

    fn take(&self, bytes: u64, max: u64) -> bool {
        let (order, used) = (Ordering::Relaxed, self.used.inner());
        used.fetch_update(order, order, |used| {
            used.checked_add(signed(bytes))
                .filter(|sum| *sum <= signed(max))
        })
        .is_ok()
    }
}

impl Share {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether there is room for so many more, in all and of this client's.
    pub(super) fn grow(&self, bytes: u64, max: u64, client_max: u64) -> bool {
        let mut by_client = self.usage.by_client.lock();
        let own = self.client.map_or(0, |client| {
            by_client.get(&client).copied().unwrap_or_default()
        });
        if own.saturating_add(bytes) > client_max || !self.usage.take(bytes, max) {
            return false;
        }
        if let Some(client) = self.client {
            by_client.insert(client, own + bytes);
        }
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let bytes = self.bytes();
        self.usage.used.dec_by(signed(bytes));
        let Some(client) = self.client else { return };
        let mut by_client = self.usage.by_client.lock();
        if let Some(own) = by_client.get_mut(&client) {
            *own = own.saturating_sub(bytes);
            if *own == 0 {
                by_client.remove(&client);
            }
        }
    }
}

/// One client has all addresses of an IPv6 network of 64 bits.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// As gauges count. No disk has more.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_its_share_and_no_more() {
        let used = Gauge::default();
        let usage = SpoolUsage::new(&used);
        let share = |client: &str| usage.share(Some(client.parse().unwrap()));
        let (one, again) = (share("2001:db8::1"), share("2001:db8::2"));
        assert!(one.grow(6, 10, 6));
        assert!(!again.grow(1, 10, 6), "the same network has its share");
        let (other, last) = (share("10.1.1.1"), share("::ffff:10.1.1.1"));
        assert!(other.grow(3, 10, 6));
        assert!(!last.grow(4, 10, 6) && !usage.share(None).grow(2, 10, 6));
        assert_eq!(used.get(), 9);
        drop(one);
        assert!(again.grow(6, 10, 6));
        drop((again, other, last));
        assert_eq!(used.get(), 0);
        assert!(usage.by_client.lock().is_empty());
    }
}

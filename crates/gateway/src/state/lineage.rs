//! Clients whose key changes: a session's cookie that has a new value with nearly
//! every answer, as Rails' has, is one client all the same. What it wrote under a
//! former key binds it under the next one.
//!
//! Each key leads to the one that its line began with, under which the client has
//! its pin. A line is forgotten once it has not been used for a while and no pin
//! needs it; after that the next key begins a line of its own.

use super::client_id::{ByClient, ClientId, SHARDS};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The most keys that are known to follow another one, per extraction: about 5 MiB.
/// Those of the clients that asked within [`SWEEPS_KEPT`].
const KEYS_MAX: usize = 100_000;

/// So many sweeps, of a second each, a key is kept after its last use: longer than nearly
/// all requests take that came with it.
const SWEEPS_KEPT: u16 = 300;

/// A key that follows another one.
#[derive(Debug, Clone, Copy)]
struct Follower {
    first: ClientId,
    /// Sweeps since it was used.
    idle: u16,
}

/// The keys that follow others.
pub(super) struct Lineage {
    shards: Vec<Mutex<ByClient<Follower>>>,
    count: AtomicUsize,
}

impl Lineage {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            count: AtomicUsize::new(0),
        }
    }

    /// The client that a key's line began with, often itself.
    pub(super) fn first(&self, key: ClientId) -> ClientId {
        if self.count.load(Ordering::Acquire) == 0 {
            return key;
        }
        match self.shards[key.shard()].lock().get_mut(&key) {
            Some(follower) => {
                follower.idle = 0;
                follower.first
            }
            None => key,
        }
    }

    /// A client known as `first` has been given another key. `false`: there is no room
    /// for it.
    pub(super) fn follow(&self, key: ClientId, first: ClientId) -> bool {
        let mut shard = self.shards[key.shard()].lock();
        if self.count.load(Ordering::Acquire) >= KEYS_MAX && !shard.contains_key(&key) {
            return false;
        }
        if shard.insert(key, Follower { first, idle: 0 }).is_none() {
            self.count.fetch_add(1, Ordering::AcqRel);
        }
        true
    }

    /// Forgets the keys that were not used for a while, but for those whose client has a
    /// pin.
    pub(super) fn sweep(&self, has_pin: impl Fn(ClientId) -> bool) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        for shard in &self.shards {
            let mut shard = shard.lock();
            let before = shard.len();
            shard.retain(|_, follower| {
                follower.idle = follower.idle.saturating_add(1);
                follower.idle <= SWEEPS_KEPT || has_pin(follower.first)
            });
            self.count.fetch_sub(before - shard.len(), Ordering::AcqRel);
        }
    }
}

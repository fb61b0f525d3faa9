//! Who a client is: a hash of its key, and tables of what is known by it.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Shards of such a table; enough that a few dozen workers seldom meet.
pub(super) const SHARDS: usize = 64;

/// A client, by a hash of its key that an outsider cannot predict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ClientId(u128);

impl ClientId {
    pub(super) fn of(key: &[u8], seed: u64) -> Self {
        Self(xxh3_128_with_seed(key, seed))
    }

    /// Which of the shards it is in.
    pub(super) fn shard(self) -> usize {
        usize::try_from(self.0 % SHARDS as u128).unwrap_or_default()
    }
}

/// Client ids are hashes already.
#[derive(Default)]
pub(super) struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, id: u128) {
        // The low bits choose the shard.
        self.0 = u64::try_from(id >> 64).unwrap_or_default();
    }
}

/// One shard of what is known of clients.
pub(super) type ByClient<T> = HashMap<ClientId, T, BuildHasherDefault<AlreadyHashed>>;

//! Flags in Redis, as the documents of the migration write them:
//! `feature:NAME` and `feature:NAME:user:ID`, `true` or `false`; `always` and
//! `never` mean the same. What is not there, or is something else, says nothing.
//!
//! All of it is read again and again: a `SCAN` finds keys that the plan does
//! not name, and a deleted key is no longer found. Its cost grows with all that Redis
//! holds, so that reading rests nine times as long as it took: give the flags a
//! database of their own where that is much.

use super::settings::FlagSettings;
use arc_swap::{ArcSwap, Guard};
use plan::FlagStore;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use protocol::Side;
use redis::{Client, RedisResult, aio::MultiplexedConnection};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::{Instant, sleep, timeout};

const PREFIX: &[u8] = b"feature:";

/// Keys that are looked at in one step; each holds Redis up for less than a
/// millisecond.
const STEP: usize = 1000;

/// The most users of all flags together: about 10 MiB. Who flags more than that
/// wants a share.
const USERS_MAX: usize = 100_000;

/// Keys with longer names of users are ignored.
const USER_BYTES_MAX: usize = 256;

/// The longest that one answer of Redis may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How long reading rests, in times that it took.
const REST: u32 = 9;

/// The least rest, and the one after a failure.
const REST_MIN: Duration = Duration::from_millis(50);

/// What Redis says of the flags of a plan.
pub(crate) struct Store {
    source: FlagStore,
    /// By place.
    names: Vec<String>,
    said: ArcSwap<Vec<FlagSettings>>,
    /// By place: when that was last seen to change, in milliseconds since 1970; 0: never.
    changed_ms: Vec<AtomicI64>,
    metrics: FlagMetrics,
}

/// How reading goes; lasts through reloads.
#[derive(Debug, Clone, Default)]
pub(super) struct FlagMetrics {
    reads: Family<OutcomeLabel, Counter>,
    stale: Gauge,
}

impl FlagMetrics {
    pub(super) fn is_stale(&self) -> bool {
        self.stale.get() != 0
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let it = self.clone();
        registry.register(
            "banyan_flags_reads",
            "Times that the flags were read from Redis, or could not be",
            it.reads,
        );
        registry.register(
            "banyan_flags_stale",
            "1 while the flags cannot be read, and those last read count",
            it.stale,
        );
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// Why flags were not read. No text of Redis or its address is in it: either
/// may hold what is secret.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("Redis failed: {0:?}")]
    Redis(redis::ErrorKind),
    #[error("Redis did not answer in time")]
    Slow,
    #[error("there are flags for more than {USERS_MAX} users: use a share instead")]
    TooMany,
}

impl From<redis::RedisError> for ReadError {
    fn from(error: redis::RedisError) -> Self {
        Self::Redis(error.kind())
    }
}

impl Store {
    pub(super) fn new(source: FlagStore, names: &[&str], metrics: FlagMetrics) -> Self {
        Self {
            source,
            names: names.iter().copied().map(str::to_owned).collect(),
            said: ArcSwap::from_pointee(vec![FlagSettings::default(); names.len()]),
            changed_ms: names.iter().map(|_| AtomicI64::new(0)).collect(),
            metrics,
        }
    }

    /// Whether it is the one of this plan.
    pub(super) fn is(&self, source: &FlagStore, names: &[&str]) -> bool {
        self.source == *source && self.names == names
    }

    /// What Redis last said, by place.
    pub(super) fn said(&self) -> Guard<Arc<Vec<FlagSettings>>> {
        self.said.load()
    }

    /// When it was last seen to say something else of a flag than before.
    pub(super) fn changed_ms(&self, place: usize) -> Option<i64> {
        let at = self.changed_ms.get(place)?.load(Ordering::Relaxed);
        (at > 0).then_some(at)
    }

    fn note_changes(&self, said: &[FlagSettings]) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_millis().try_into().unwrap_or(i64::MAX));
        let before = self.said.load();
        for ((before, said), at) in before.iter().zip(said).zip(&self.changed_ms) {
            if before != said {
                at.store(now, Ordering::Relaxed);
            }
        }
    }

    /// Reads the flags again and again, for as long as it is polled.
    pub(super) async fn keep(&self) {
        let Ok(client) = Client::open(self.source.redis.expose_text()) else {
            // The error could repeat the address, and so its password.
            tracing::error!("the address of the flags is unusable");
            self.metrics.stale.set(1);
            return;
        };
        let mut connection = None;
        let mut is_away = false;
        // What is found at first was not changed then.
        let mut has_read = false;
        loop {
            let begun = Instant::now();
            let read = self.read(&client, &mut connection).await;
            let outcome = if read.is_ok() { "read" } else { "failed" };
            let label = OutcomeLabel { outcome };
            self.metrics.reads.get_or_create(&label).inc();
            let rest = match read {
                Ok(said) => {
                    if is_away {
                        tracing::info!("flags read again");
                    }
                    if **self.said.load() != said {
                        if has_read {
                            self.note_changes(&said);
                        }
                        self.said.store(Arc::new(said));
                    }
                    has_read = true;
                    begun.elapsed() * REST
                }
                Err(error) => {
                    connection = None;
                    if !is_away {
                        tracing::warn!(%error, "flags not read, those last read stay");
                    }
                    Duration::ZERO
                }
            };
            is_away = outcome == "failed";
            self.metrics.stale.set(i64::from(is_away));
            sleep(rest.max(self.source.every).max(REST_MIN)).await;
        }
    }

    async fn read(
        &self,
        client: &Client,
        connection: &mut Option<MultiplexedConnection>,
    ) -> Result<Vec<FlagSettings>, ReadError> {
        let mut redis = match connection.take() {
            Some(open) => open,
            None => bounded(client.get_multiplexed_async_connection()).await?,
        };
        let mut said = vec![FlagSettings::default(); self.names.len()];
        let mut cursor = 0;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor)
                .arg("MATCH")
                .arg("feature:*")
                .arg("COUNT")
                .arg(STEP);
            let (next, keys): (u64, Vec<Vec<u8>>) = bounded(scan.query_async(&mut redis)).await?;
            let keys: Vec<_> = keys
                .into_iter()
                .filter_map(|key| Some((self.place(&key)?, key)))
                .collect();
            if !keys.is_empty() {
                let mut get = redis::cmd("MGET");
                for (_, key) in &keys {
                    get.arg(key);
                }
                let values: Vec<Option<Vec<u8>>> = bounded(get.query_async(&mut redis)).await?;
                for ((place, key), value) in keys.iter().zip(values) {
                    note(&mut said[*place], key, value.as_deref());
                }
            }
            if said.iter().map(|one| one.users.len()).sum::<usize>() > USERS_MAX {
                return Err(ReadError::TooMany);
            }
            if next == 0 {
                break;
            }
            cursor = next;
        }
        *connection = Some(redis);
        Ok(said)
    }

    /// The flag that a key is of, where the plan has it.
    fn place(&self, key: &[u8]) -> Option<usize> {
        let rest = key.strip_prefix(PREFIX)?;
        let name = rest.split(|byte| *byte == b':').next()?;
        self.names
            .binary_search_by(|one| one.as_bytes().cmp(name))
            .ok()
    }

    /// As if it had been read.
    #[cfg(test)]
    pub(super) fn note(&self, key: &[u8], value: &[u8]) {
        let mut said = self.said.load().to_vec();
        if let Some(place) = self.place(key) {
            note(&mut said[place], key, Some(value));
        }
        self.said.store(Arc::new(said));
    }
}

/// Notes the value of a key that is of a flag.
fn note(said: &mut FlagSettings, key: &[u8], value: Option<&[u8]>) {
    let side = match value {
        Some(b"true" | b"always") => Side::Service,
        Some(b"false" | b"never") => Side::Monolith,
        _ => return,
    };
    let rest = &key[PREFIX.len()..];
    match rest.iter().position(|byte| *byte == b':') {
        None => said.everybody = Some(side),
        Some(end) => {
            if let Some(user) = rest[end..].strip_prefix(b":user:")
                && (1..=USER_BYTES_MAX).contains(&user.len())
            {
                said.users.insert(user.into(), side);
            }
        }
    }
}

async fn bounded<T>(answer: impl Future<Output = RedisResult<T>>) -> Result<T, ReadError> {
    Ok(timeout(TIMEOUT, answer)
        .await
        .map_err(|_| ReadError::Slow)??)
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::Secret;
    use proptest::prelude::*;

    fn store() -> Store {
        let source = FlagStore {
            redis: Secret::new("redis://127.0.0.1:1").unwrap(),
            every: Duration::from_secs(1),
        };
        Store::new(source, &["a", "b.c"], FlagMetrics::default())
    }

    #[test]
    fn only_keys_of_the_plans_flags_count_and_only_clear_values() {
        let store = store();
        for (key, value) in [
            ("feature:a", "1"),
            ("feature:a", "True"),
            ("feature:a:user:", "true"),
            ("feature:a:group:x", "true"),
            ("feature:a:user", "true"),
            ("feature:ab", "true"),
            ("features:a", "true"),
        ] {
            store.note(key.as_bytes(), value.as_bytes());
        }
        assert!(
            store
                .said()
                .iter()
                .all(|said| *said == FlagSettings::default())
        );
        store.note(b"feature:b.c", b"never");
        store.note(b"feature:a:user:7", b"always");
        assert_eq!(store.said()[1].everybody, Some(Side::Monolith));
        assert_eq!(store.said()[0].users[&b"7"[..]], Side::Service);
    }

    proptest! {
        #[test]
        fn nothing_that_redis_holds_panics(
            tail: Vec<u8>, value: Vec<u8>, user: bool,
        ) {
            let mut key = if user { b"feature:a:user:".to_vec() } else { b"feature:".to_vec() };
            key.extend(tail);
            store().note(&key, &value);
        }
    }
}

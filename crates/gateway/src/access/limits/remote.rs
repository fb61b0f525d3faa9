//! Counters in Redis, shared by all gateways.
//!
//! One script per request looks at all windows and counts in all or in none,
//! so that gateways together never let in more than one would. A worker has
//! one connection. Every wait for it is bounded; after a failure Redis is left
//! alone for a moment, in which requests get the answer that the plan chose.

use plan::LimitsStore;
use redis::{Client, Script, aio::MultiplexedConnection};
use std::{cell::Cell, time::Duration};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

/// How long Redis is left alone after it failed: requests do not wait in vain
/// one after the other, and it is found again soon.
const PAUSE: Duration = Duration::from_millis(250);

/// `KEYS`: a counter each; `ARGV`: its limit and for how many seconds it is
/// kept. Returns whether there was room in all, and what they hold.
const SCRIPT: &str = r"
local used = {}
local room = 1
for i = 1, #KEYS do
  used[i] = tonumber(redis.call('GET', KEYS[i]) or '0')
  if used[i] >= tonumber(ARGV[2 * i - 1]) then room = 0 end
end
if room == 1 then
  for i = 1, #KEYS do
    used[i] = redis.call('INCR', KEYS[i])
    if used[i] == 1 then redis.call('EXPIRE', KEYS[i], ARGV[2 * i]) end
  end
end
table.insert(used, 1, room)
return used
";

/// One counter.
pub(crate) struct Counter {
    pub(crate) key: String,
    pub(crate) limit: u64,
    /// Seconds until its window ends.
    pub(crate) left: u64,
}

/// Whether there was room, and how many requests each window holds.
pub(crate) struct Counted {
    pub(crate) room: bool,
    pub(crate) used: Vec<u64>,
}

/// Redis did not answer in time, or wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unanswered;

/// A worker's way to Redis.
pub(crate) struct Remote {
    store: Option<LimitsStore>,
    client: Option<Client>,
    wait: Duration,
    script: Script,
    connection: Mutex<Option<MultiplexedConnection>>,
    paused_until: Cell<Option<Instant>>,
}

impl Remote {
    pub(crate) fn new(store: Option<&LimitsStore>) -> Self {
        let open = |store: &LimitsStore| {
            let client = Client::open(store.redis.expose_text());
            // The error could repeat the address, and so its password.
            client.map_err(|_| tracing::error!("the address of the limits' store is unusable"))
        };
        Self {
            store: store.cloned(),
            client: store.and_then(|store| open(store).ok()),
            wait: store.map_or(Duration::ZERO, |store| store.wait),
            script: Script::new(SCRIPT),
            connection: Mutex::default(),
            paused_until: Cell::default(),
        }
    }

    /// Whether it leads to this store.
    pub(crate) fn is_to(&self, store: Option<&LimitsStore>) -> bool {
        self.store.as_ref() == store
    }

    /// Counts a request in all windows or in none.
    pub(crate) async fn take(&self, counters: &[Counter]) -> Result<Counted, Unanswered> {
        let now = Instant::now();
        if self.paused_until.get().is_some_and(|until| now < until) {
            return Err(Unanswered);
        }
        match timeout(self.wait, self.ask(counters)).await {
            Ok(Ok(counted)) => return Ok(counted),
            Ok(Err(error)) => {
                tracing::warn!(kind = ?error.kind(), "limits' store failed");
            }
            Err(_) => tracing::warn!("limits' store too slow"),
        }
        self.paused_until.set(Some(Instant::now() + PAUSE));
        if let Ok(mut connection) = self.connection.try_lock() {
            *connection = None;
        }
        Err(Unanswered)
    }

    async fn ask(&self, counters: &[Counter]) -> redis::RedisResult<Counted> {
        let mut connection = self.connected().await?;
        let mut call = self.script.prepare_invoke();
        for counter in counters {
            call.key(&counter.key);
            call.arg(counter.limit).arg(counter.left);
        }
        let mut used: Vec<u64> = call.invoke_async(&mut connection).await?;
        if used.len() != counters.len() + 1 {
            let text = "the script returned something else";
            return Err((redis::ErrorKind::UnexpectedReturnType, text).into());
        }
        let room = used.remove(0) == 1;
        Ok(Counted { room, used })
    }

    async fn connected(&self) -> redis::RedisResult<MultiplexedConnection> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = &*slot {
            return Ok(connection.clone());
        }
        let Some(client) = &self.client else {
            let text = "there is no store";
            return Err((redis::ErrorKind::InvalidClientConfig, text).into());
        };
        let connection = client.get_multiplexed_async_connection().await?;
        *slot = Some(connection.clone());
        Ok(connection)
    }
}

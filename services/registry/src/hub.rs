//! The last changes in memory, for all who watch: one reader of the database,
//! however many they are.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use kit::Stopping;
use kit::database::{Database, DatabaseError, Notices};
use parking_lot::RwLock;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Mutex, watch};
use tracing::{info, warn};

use crate::store::instances::{self, CHANGES_KEPT, Change};
use crate::store::{CHANGED, told_of};

/// Watchers at once in this process; each is a connection of the kit's 4,096.
const WATCHERS_MAX: usize = 1_000;
/// How often changes are looked for, for the case that a notice was lost.
const LOOK: Duration = Duration::from_secs(5);
/// Changes that are read at once.
const BATCH: i64 = 1_000;

/// Knows the last changes. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Hub {
    log: Arc<RwLock<Log>>,
    /// One at a time reads on, so that nothing is taken twice.
    reading: Arc<Mutex<()>>,
    /// Says that there may be something new.
    wake: watch::Sender<()>,
    watchers: Gauge,
}

/// A watcher's place; free again when it is dropped.
#[derive(Debug)]
pub struct WatcherSlot {
    hub: Hub,
    wake: watch::Receiver<()>,
    history: u64,
}

/// What comes after a change.
#[derive(Debug)]
pub enum NextChange {
    /// These, in order; perhaps none.
    Changes(Vec<Change>),
    /// More than is known here: everything must be told anew.
    Gap,
}

/// Changes without gaps up to the last one that was read.
#[derive(Debug, Default)]
struct Log {
    changes: VecDeque<Change>,
    last: i64,
    /// Another one where the database has become an older one: the same numbers
    /// are other changes then.
    history: u64,
}

impl Log {
    fn after(&self, number: i64) -> NextChange {
        let first = self.last - i64::try_from(self.changes.len()).unwrap_or(i64::MAX);
        if number < first {
            return NextChange::Gap;
        }
        // Who was told everything may know more than was read here so far.
        let known = usize::try_from(number - first).unwrap_or(usize::MAX);
        NextChange::Changes(self.changes.iter().skip(known).cloned().collect())
    }

    /// Knows nothing but that there was a last change.
    fn forget(&mut self, last: i64) {
        self.changes.clear();
        self.history += u64::from(last < self.last);
        self.last = last;
    }

    /// Takes what was read; what does not follow on it replaces all.
    fn extend(&mut self, read: Vec<Change>) {
        for change in read {
            if change.number != self.last + 1 {
                self.changes.clear();
            }
            self.last = change.number;
            self.changes.push_back(change);
        }
        let kept = usize::try_from(CHANGES_KEPT).unwrap_or(usize::MAX);
        let surplus = self.changes.len().saturating_sub(kept);
        self.changes.drain(..surplus);
    }
}

impl Hub {
    /// One that knows nothing yet. `watchers` counts them.
    pub fn new(watchers: Gauge) -> Self {
        Self {
            log: Arc::default(),
            reading: Arc::default(),
            wake: watch::Sender::default(),
            watchers,
        }
    }

    /// Reads changes until the service stops.
    pub async fn keep(
        self,
        database: Database,
        notices: Notices,
        stopping: Stopping,
    ) -> anyhow::Result<()> {
        let mut receiver = notices.subscribe();
        let mut is_away = false;
        loop {
            receiver.clear();
            match self.read(&database).await {
                Ok(()) if is_away => {
                    info!("changes are read again");
                    is_away = false;
                }
                Ok(()) => {}
                Err(error) if is_away => drop(error),
                Err(error) => {
                    warn!(%error, "changes cannot be read; watchers wait");
                    is_away = true;
                }
            }
            tokio::select! {
                () = stopping.told() => return Ok(()),
                () = told_of(&mut receiver, CHANGED) => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Reads what has happened up to now.
    pub async fn read(&self, database: &Database) -> Result<(), DatabaseError> {
        let _reading = self.reading.lock().await;
        let last = instances::last_change(database).await?;
        let known = self.log.read().last;
        // At first, and where the database is an older one than it was.
        let mut known = if known == 0 || last < known {
            let begin = (last - CHANGES_KEPT).max(0);
            self.log.write().forget(begin);
            begin
        } else {
            known
        };
        while known < last {
            let changes = instances::changes(database, known, BATCH).await?;
            let Some(newest) = changes.last() else {
                // They are no longer kept.
                self.log.write().forget(last);
                break;
            };
            known = newest.number;
            self.log.write().extend(changes);
        }
        self.wake.send_replace(());
        Ok(())
    }

    /// A place for a watcher, if there is room.
    pub fn join(&self) -> Option<WatcherSlot> {
        if self.wake.receiver_count() >= WATCHERS_MAX {
            return None;
        }
        self.watchers.inc();
        Some(WatcherSlot {
            hub: self.clone(),
            wake: self.wake.subscribe(),
            history: self.log.read().history,
        })
    }
}

impl Drop for WatcherSlot {
    fn drop(&mut self) {
        self.hub.watchers.dec();
    }
}

impl WatcherSlot {
    /// What comes after a change, as far as it was read.
    pub fn after(&mut self, number: i64) -> NextChange {
        self.wake.mark_unchanged();
        let log = self.hub.log.read();
        if std::mem::replace(&mut self.history, log.history) != log.history {
            return NextChange::Gap;
        }
        log.after(number)
    }

    /// Whether a change was read here: no other one can be gone on from.
    pub fn knows(&self, number: i64) -> bool {
        number <= self.hub.log.read().last
    }

    /// Waits until there may be more. Cancel safe.
    pub async fn woken(&mut self) {
        // The sender lives in the hub, which this holds.
        let _ = self.wake.changed().await;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::OffsetDateTime;
    use uuid::Uuid;

    use super::*;
    use crate::instance::Instance;
    use crate::store::instances::Kind;

    fn change(number: i64) -> Change {
        let instance = Instance {
            id: Uuid::nil(),
            name: String::new(),
            url: String::new(),
            tags: Vec::new(),
            health: String::new(),
            version: String::new(),
            ttl_seconds: 1,
            registered_at: OffsetDateTime::UNIX_EPOCH,
        };
        Change {
            number,
            kind: Kind::Added,
            instance,
        }
    }

    fn numbers(after: NextChange) -> Option<Vec<i64>> {
        match after {
            NextChange::Changes(changes) => Some(changes.iter().map(|one| one.number).collect()),
            NextChange::Gap => None,
        }
    }

    #[test]
    fn a_gap_is_told_and_not_jumped_over() {
        let mut log = Log::default();
        assert_eq!(numbers(log.after(0)), Some(vec![]));
        log.extend(vec![change(1), change(2)]);
        assert_eq!(numbers(log.after(0)), Some(vec![1, 2]));
        assert_eq!(numbers(log.after(2)), Some(vec![]));
        assert_eq!(numbers(log.after(3)), Some(vec![]));
        log.extend(vec![change(7), change(8)]);
        assert_eq!(numbers(log.after(2)), None);
        assert_eq!(numbers(log.after(6)), Some(vec![7, 8]));
        assert_eq!(numbers(log.after(-1)), None);
    }

    proptest! {
        #[test]
        fn what_follows_is_without_gaps(
            batches in proptest::collection::vec((0..3_i64, 0..2_000_i64), 0..6), from in -5..9_000_i64,
        ) {
            let mut log = Log::default();
            for (jump, count) in batches {
                let begin = log.last + jump;
                log.extend((1..=count).map(|step| change(begin + step)).collect());
            }
            prop_assert!(log.changes.len() <= 4_096);
            if let Some(numbers) = numbers(log.after(from)) {
                prop_assert_eq!(numbers, (from + 1..=log.last).collect::<Vec<_>>());
            }
        }
    }
}

//! What is being looked at before a hand-over, for whoever waits for it.

use conductor::ports::Look;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// The looks that have begun and have not ended, in the order of their beginning.
/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Looks(Arc<Mutex<UnderWay>>);

#[derive(Debug, Default)]
struct UnderWay {
    begun: u64,
    looks: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    what: String,
    since: Instant,
    last: Option<String>,
}

/// A look under way; dropping it ends it.
#[derive(Debug)]
pub(super) struct LookGuard {
    looks: Looks,
    id: u64,
}

impl Looks {
    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is looked at from now on.
    pub(super) fn begin(&self, what: impl Into<String>) -> LookGuard {
        let mut under_way = self.under_way();
        let id = under_way.begun;
        under_way.begun += 1;
        under_way.looks.insert(
            id,
            Entry {
                what: what.into(),
                since: Instant::now(),
                last: None,
            },
        );
        drop(under_way);
        LookGuard {
            looks: self.clone(),
            id,
        }
    }

    /// Shows a look for as long as the work lasts.
    pub(super) async fn during<T>(&self, what: &str, work: impl Future<Output = T>) -> T {
        let _look = self.begin(what);
        work.await
    }

    /// All that are under way, the oldest first.
    pub(super) fn report(&self) -> Vec<Look> {
        let look = |entry: &Entry| Look {
            what: entry.what.clone(),
            seconds: entry.since.elapsed().as_secs_f64(),
            last: entry.last.clone(),
        };
        self.under_way().looks.values().map(look).collect()
    }
}

impl LookGuard {
    /// It goes on, with this question now, after that came of the last one.
    pub(super) fn again(&self, what: String, last: String) {
        if let Some(entry) = self.looks.under_way().looks.get_mut(&self.id) {
            entry.what = what;
            entry.last = Some(last);
        }
    }
}

impl Drop for LookGuard {
    fn drop(&mut self) {
        self.looks.under_way().looks.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_at_is_shown_until_it_ends() {
        let looks = Looks::default();
        let first = looks.begin("a");
        let second = looks.begin("b");
        second.again("c".to_owned(), "late".to_owned());
        let shown = || -> Vec<_> {
            let all = looks.report().into_iter();
            all.map(|look| (look.what, look.last)).collect()
        };
        let late = Some("late".to_owned());
        assert_eq!(shown(), [("a".to_owned(), None), ("c".to_owned(), late)]);
        drop(first);
        assert_eq!(shown().len(), 1);
        drop(second);
        assert_eq!(shown(), []);
    }
}

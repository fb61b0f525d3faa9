//! Counters in this process, shared by its workers.
//!
//! A fixed number of sets, each with room for a few clients, as a cache has
//! them: memory is bounded, looking is, and a lock is held for a few dozen
//! instructions and met by nobody, since there are far more sets than workers.
//! A full set forgets whose windows have ended; and if there is none, who asked
//! least: a flood of new clients does not reset the ones that are limited.

use super::window;
use parking_lot::Mutex;
use plan::Period;
use std::num::NonZeroU64;

const SETS: usize = 4096;

/// Clients that a set remembers. With the above: 65,536 clients, and at most
/// 8 MiB.
const WAYS: usize = 16;

const PERIODS: usize = Period::ALL.len();

#[derive(Debug, Clone, Copy)]
struct Count {
    begin: u64,
    end: u64,
    used: u64,
}

impl Count {
    /// Of no window.
    const NONE: Self = Self {
        begin: u64::MAX,
        end: 0,
        used: 0,
    };
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    key: u128,
    counts: [Count; PERIODS],
}

impl Entry {
    /// The most that it holds in a window that still runs.
    fn weight(&self, now: u64) -> u64 {
        let running = self.counts.iter().filter(|count| count.end > now);
        running.map(|count| count.used).max().unwrap_or(0)
    }
}

/// The counters.
pub(crate) struct Counters {
    sets: Vec<Mutex<Vec<Entry>>>,
}

/// How many requests of a window there were, this one included where there was
/// room for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) period: Period,
    pub(crate) limit: u64,
    pub(crate) count: u64,
    /// Seconds until the window ends.
    pub(crate) left: u64,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            sets: (0..SETS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Counts a request in all windows, or in none: where one of them is full.
    /// Says which of it, and what they hold.
    pub(crate) fn take(
        &self,
        key: u128,
        windows: &[(Period, NonZeroU64)],
        now: u64,
        used: &mut Vec<Used>,
    ) -> bool {
        let mut set = self.set(key).lock();
        let entry = Self::entry(&mut set, key, now);
        let from = used.len();
        let mut room = true;
        for (period, limit) in windows {
            let window = window::at(*period, now);
            let count = &mut entry.counts[*period as usize];
            if count.begin != window.begin {
                *count = Count {
                    begin: window.begin,
                    end: now.saturating_add(window.left),
                    used: 0,
                };
            }
            room &= count.used < limit.get();
            used.push(Used {
                period: *period,
                limit: limit.get(),
                count: count.used,
                left: window.left,
            });
        }
        if room {
            for one in &mut used[from..] {
                one.count += 1;
                entry.counts[one.period as usize].used = one.count;
            }
        }
        room
    }

    /// Takes a request back that another limit had no room for.
    pub(crate) fn give_back(&self, key: u128, windows: &[(Period, NonZeroU64)], now: u64) {
        let mut set = self.set(key).lock();
        let Some(entry) = set.iter_mut().find(|entry| entry.key == key) else {
            return;
        };
        for (period, _) in windows {
            let count = &mut entry.counts[*period as usize];
            if count.begin == window::at(*period, now).begin {
                count.used = count.used.saturating_sub(1);
            }
        }
    }

    fn set(&self, key: u128) -> &Mutex<Vec<Entry>> {
        let at = usize::try_from(key % SETS as u128).unwrap_or(0);
        &self.sets[at]
    }

    fn entry(set: &mut Vec<Entry>, key: u128, now: u64) -> &mut Entry {
        let fresh = Entry {
            key,
            counts: [Count::NONE; PERIODS],
        };
        let known = set.iter().position(|entry| entry.key == key);
        let at = known.unwrap_or_else(|| {
            if set.len() < WAYS {
                set.push(fresh);
                return set.len() - 1;
            }
            let weights = set.iter().map(|entry| entry.weight(now)).enumerate();
            let (lightest, _) = weights
                .min_by_key(|(_, weight)| *weight)
                .unwrap_or_default();
            set[lightest] = fresh;
            lightest
        });
        &mut set[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn windows(all: &[(Period, u64)]) -> Vec<(Period, NonZeroU64)> {
        let some = |count| NonZeroU64::new(count).unwrap();
        all.iter()
            .map(|(period, count)| (*period, some(*count)))
            .collect()
    }

    fn take(counters: &Counters, key: u128, windows: &[(Period, NonZeroU64)], now: u64) -> bool {
        counters.take(key, windows, now, &mut Vec::new())
    }

    #[test]
    fn a_full_window_refuses_until_it_ends_and_refusals_do_not_count() {
        let counters = Counters::new();
        let windows = windows(&[(Period::Minute, 2), (Period::Hour, 3)]);
        let at = |now| take(&counters, 1, &windows, now);
        assert!(at(3600) && at(3659));
        assert!(!at(3659) && !at(3659));
        assert!(take(&counters, 2, &windows, 3659));
        // A new minute; the hour has room for one.
        assert!(at(3660));
        assert!(!at(3720));
        let mut used = Vec::new();
        assert!(!counters.take(1, &windows, 7199, &mut used));
        assert_eq!(
            (used[0].count, used[0].left, used[1].count, used[1].left),
            (0, 1, 3, 1)
        );
        assert!(at(7200));
        // The clock is set back: another window, not a panic.
        assert!(at(0));
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let counters = Counters::new();
        let windows = windows(&[(Period::Minute, 1)]);
        assert!(take(&counters, 1, &windows, 0));
        counters.give_back(1, &windows, 0);
        assert!(take(&counters, 1, &windows, 0));
        counters.give_back(1, &windows, 60);
        assert!(!take(&counters, 1, &windows, 59));
        counters.give_back(2, &windows, 0);
    }

    #[test]
    fn a_flood_does_not_reset_who_is_limited() {
        let counters = Counters::new();
        let windows = windows(&[(Period::Hour, 5)]);
        for _ in 0..5 {
            assert!(take(&counters, 0, &windows, 0));
        }
        for client in 1..1000_u128 {
            take(&counters, client * SETS as u128, &windows, 0);
        }
        assert!(!take(&counters, 0, &windows, 0));
        assert!(counters.sets[0].lock().len() <= WAYS);
    }

    #[test]
    fn threads_together_get_no_more_than_the_limit() {
        let counters = Arc::new(Counters::new());
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let counters = Arc::clone(&counters);
                std::thread::spawn(move || {
                    let windows = windows(&[(Period::Day, 1000)]);
                    (0..500).filter(|_| take(&counters, 7, &windows, 5)).count()
                })
            })
            .collect();
        let taken: usize = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum();
        assert_eq!(taken, 1000);
    }
}

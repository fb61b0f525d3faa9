//! Two counters that are looked at together: what grew within a few looks of the
//! other one's growth is told. Pure.

use std::collections::{BTreeMap, VecDeque};

/// How many looks before a growth count: the count of refusals is some seconds old
/// when it is read.
const BEFORE: usize = 8;

/// How many looks after it do: the answer comes after the refusal.
const AFTER: usize = 3;

/// What grew beside a counter.
#[derive(Debug)]
pub(super) struct Correlation<K> {
    /// `None`: it has not been looked at.
    refused: Option<u64>,
    /// Looks that still count.
    open: usize,
    /// The counts of the last looks, the oldest first.
    before: VecDeque<BTreeMap<K, u64>>,
    /// Up to where they have been told.
    told: BTreeMap<K, u64>,
    found: BTreeMap<K, Growth>,
    /// Looks so far.
    looks: u64,
}

/// For how many looks a growth is recent: ten minutes. What grows later begins anew.
pub(super) const FRESH: u64 = 1_200;

/// How much something grew.
#[derive(Debug, Clone, Copy, Default)]
struct Growth {
    count: u64,
    /// The same without what came before a time in which it did not grow.
    recent: u64,
    /// In which look it did last.
    last: u64,
}

impl<K> Default for Correlation<K> {
    fn default() -> Self {
        Self {
            refused: None,
            open: 0,
            before: VecDeque::new(),
            told: BTreeMap::new(),
            found: BTreeMap::new(),
            looks: 0,
        }
    }
}

impl<K: Ord + Clone> Correlation<K> {
    /// What both are now.
    pub(super) fn look(&mut self, refused: u64, counts: BTreeMap<K, u64>) {
        self.looks += 1;
        match self.refused.replace(refused) {
            Some(before) if refused > before => self.open = AFTER + 1,
            // They are counted anew.
            Some(before) if refused < before => self.found.clear(),
            _ => {}
        }
        if self.open > 0 {
            self.open -= 1;
            self.tell(&counts);
        }
        self.before.push_back(counts);
        if self.before.len() > BEFORE {
            self.before.pop_front();
        }
    }

    fn tell(&mut self, counts: &BTreeMap<K, u64>) {
        let earlier = self.before.front();
        for (key, count) in counts {
            let at = |map: &BTreeMap<K, u64>| map.get(key).copied().unwrap_or_default();
            let from = earlier.map_or(*count, at).max(at(&self.told));
            if *count > from {
                let found = self.found.entry(key.clone()).or_default();
                if self.looks - found.last >= FRESH {
                    found.recent = 0;
                }
                found.count += count - from;
                found.recent += count - from;
                found.last = self.looks;
                self.told.insert(key.clone(), *count);
            }
        }
    }

    /// What grew, and how much.
    pub(super) fn found(&self) -> impl Iterator<Item = (&K, u64)> {
        self.found.iter().map(|(key, found)| (key, found.count))
    }

    /// What grew within the last [`FRESH`] looks, and how much since it began to.
    pub(super) fn recently(&self) -> impl Iterator<Item = (&K, u64)> {
        let since = self.looks.saturating_sub(FRESH);
        let recent = self
            .found
            .iter()
            .filter(move |(_, found)| found.last > since);
        recent.map(|(key, found)| (key, found.recent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(looks: &[(u64, u64)]) -> Option<u64> {
        let mut correlation = Correlation::default();
        for (refused, failed) in looks {
            correlation.look(*refused, BTreeMap::from([("GET /x", *failed)]));
        }
        correlation.found().map(|(_, count)| count).next()
    }

    #[test]
    fn what_grew_long_ago_is_not_recent_and_does_not_count_again() {
        let mut correlation = Correlation::default();
        let mut look = |refused, failed, times| {
            for _ in 0..times {
                correlation.look(refused, BTreeMap::from([("GET /x", failed)]));
            }
            let recent: Vec<_> = correlation.recently().map(|(_, count)| count).collect();
            recent
        };
        look(0, 0, 1);
        look(1, 2, 1);
        assert_eq!(look(1, 2, FRESH - 1), [2]);
        assert!(look(1, 2, 1).is_empty());
        assert_eq!(look(2, 3, 1), [1]);
        assert_eq!(look(3, 5, 1), [3]);
        assert_eq!(correlation.found().next(), Some((&"GET /x", 5)));
    }

    #[test]
    fn only_what_grows_beside_it_is_told_and_once() {
        for (looks, found) in [
            // What was there before the first look is nobody's.
            (&[(7, 5)][..], None),
            (&[(7, 5), (7, 9), (7, 12)], None),
            // Before it was read, in the same look, and after it.
            (&[(0, 0), (0, 2), (1, 2)], Some(2)),
            (&[(0, 0), (1, 2)], Some(2)),
            (&[(0, 0), (1, 0), (1, 2), (1, 3)], Some(3)),
            (&[(0, 0), (1, 2), (2, 2), (3, 5)], Some(5)),
            // Counted anew: what was found was of the fence before.
            (&[(0, 0), (1, 2), (0, 2)], None),
        ] {
            assert_eq!(looked(looks), found, "{looks:?}");
        }
    }

    #[test]
    fn what_fails_long_before_or_after_is_not_told() {
        let mut looks = vec![(0, 0), (0, 4)];
        looks.extend([(0, 4); BEFORE]);
        looks.push((1, 4));
        assert_eq!(looked(&looks), None);
        looks.extend([(1, 4); AFTER]);
        looks.push((1, 9));
        assert_eq!(looked(&looks), None);
    }
}

//! What both sides answered lately, for people to compare. No gate goes by it.

use crate::{
    ports::{AnswerCounts, CellCounts, SideCounts},
    status::{AnswersStatus, SideAnswers},
};
use protocol::rollout::UnixMillis;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// For how long an answer is of lately.
const LATELY: Duration = Duration::from_mins(1);

/// Windows that are kept: of a quarter of a second each, at the shortest.
const WINDOWS_MAX: usize = 256;

/// The windows of the last minute.
#[derive(Debug, Default)]
pub(super) struct RecentAnswers {
    windows: VecDeque<Window>,
}

/// What both sides answered in a window, reads and writes.
#[derive(Debug)]
struct Window {
    began: UnixMillis,
    ended: UnixMillis,
    monolith: Tally,
    service: Tally,
}

/// What one side answered.
#[derive(Debug, Default)]
struct Tally {
    requests: u64,
    errors: u64,
    /// How many took up to 2^(n/8) seconds, by n.
    times: BTreeMap<i16, u64>,
}

impl RecentAnswers {
    /// Adds what was counted between these two, and forgets what is older than a minute.
    pub(super) fn add(&mut self, counts: &SideCounts, began: UnixMillis, ended: UnixMillis) {
        self.windows.push_back(Window {
            began,
            ended,
            monolith: Tally::of(&counts.monolith),
            service: Tally::of(&counts.service),
        });
        // A clock that was set back leaves windows of the future behind.
        let is_old = |one: &Window| one.ended > ended || one.ended.after(LATELY) <= ended;
        while self.windows.len() > WINDOWS_MAX || self.windows.front().is_some_and(is_old) {
            self.windows.pop_front();
        }
    }

    /// As it is shown; none where nothing was counted.
    pub(super) fn status(&self) -> Option<AnswersStatus> {
        let first = self.windows.front()?;
        let last = self.windows.back()?;
        let (mut monolith, mut service) = (Tally::default(), Tally::default());
        for window in &self.windows {
            monolith.add(&window.monolith);
            service.add(&window.service);
        }
        let millis = u64::try_from(last.ended.0.saturating_sub(first.began.0)).unwrap_or(0);
        Some(AnswersStatus {
            seconds: Duration::from_millis(millis).as_secs_f64(),
            monolith: monolith.status(),
            service: service.status(),
        })
    }
}

impl Tally {
    fn of(counts: &AnswerCounts) -> Self {
        let mut tally = Self::default();
        for CellCounts {
            requests,
            errors,
            bins,
        } in counts.reads.iter().chain(&counts.writes)
        {
            tally.requests += u64::from(*requests);
            tally.errors += u64::from(*errors);
            for (bin, times) in bins {
                *tally.times.entry(*bin).or_default() += u64::from(*times);
            }
        }
        tally
    }

    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        for (bin, times) in &other.times {
            *self.times.entry(*bin).or_default() += times;
        }
    }

    fn status(&self) -> SideAnswers {
        SideAnswers {
            requests: self.requests,
            errors: self.errors,
            p50_ms: self.quantile(50),
            p95_ms: self.quantile(95),
            p99_ms: self.quantile(99),
        }
    }

    /// The time that so many of a hundred take at most, in milliseconds: the upper end of
    /// its bin, at most 9 % above.
    fn quantile(&self, of_hundred: u64) -> Option<f64> {
        let all: u64 = self.times.values().sum();
        let wanted = (all * of_hundred).div_ceil(100);
        let mut below = 0;
        for (bin, times) in &self.times {
            below += times;
            if below >= wanted {
                return Some((f64::from(*bin) / 8.0).exp2() * 1000.0);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(requests: u32, errors: u32, bins: &[(i16, u32)]) -> SideCounts {
        let cell = CellCounts {
            requests,
            errors,
            bins: bins.to_vec(),
        };
        SideCounts {
            service: AnswerCounts {
                reads: vec![cell],
                writes: Vec::new(),
            },
            ..SideCounts::default()
        }
    }

    #[test]
    fn the_last_minute_of_both_sides_is_shown() {
        let mut recent = RecentAnswers::default();
        assert_eq!(recent.status(), None);
        let at = |seconds: i64| UnixMillis(seconds * 1000);
        recent.add(&counts(7, 7, &[(0, 7)]), at(0), at(10));
        recent.add(&counts(98, 1, &[(-24, 94), (-8, 4)]), at(10), at(20));
        // A request that was never sent has no time.
        recent.add(&counts(3, 2, &[(0, 2)]), at(60), at(70));
        let shown = recent.status().unwrap();
        assert!((shown.seconds - 60.0).abs() < 1e-9, "{shown:?}");
        let side = SideAnswers {
            requests: 101,
            errors: 3,
            p50_ms: Some(125.0),
            p95_ms: Some(500.0),
            p99_ms: Some(1000.0),
        };
        assert_eq!(shown.service, side);
        assert_eq!(shown.monolith, SideAnswers::default());
    }

    #[test]
    fn a_clock_that_was_set_back_leaves_nothing_behind() {
        let mut recent = RecentAnswers::default();
        let at = |seconds: i64| UnixMillis(seconds * 1000);
        recent.add(&counts(5, 0, &[]), at(1_000), at(1_010));
        recent.add(&counts(2, 0, &[]), at(500), at(510));
        let shown = recent.status().unwrap();
        assert_eq!(shown.service.requests, 2);
        assert!((shown.seconds - 10.0).abs() < 1e-9, "{shown:?}");
    }
}

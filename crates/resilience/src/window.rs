//! What a closed breaker remembers of the requests that ended, and when that
//! is too bad: over a time, or over the last so many.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::share::Share;

/// Judges what ended while the breaker is closed.
pub trait Window {
    /// What is reported of one or more requests that ended.
    type Report;

    /// Remembers a report. Whether too many have failed.
    fn record(&mut self, now: Instant, report: Self::Report) -> bool;

    /// Forgets everything.
    fn clear(&mut self);
}

/// Parts of a timed window; at the end of each, the oldest is forgotten.
const BUCKETS: u32 = 10;

/// Requests that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// All of them.
    pub ended: u32,
    /// Those that failed.
    pub failed: u32,
    /// Those that took too long, failed or not.
    pub slow: u32,
}

impl Tally {
    /// Adds what another one counted.
    pub fn add(&mut self, other: Self) {
        self.ended = self.ended.saturating_add(other.ended);
        self.failed = self.failed.saturating_add(other.failed);
        self.slow = self.slow.saturating_add(other.slow);
    }
}

/// When a [`Timed`] window is too bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long what ended is remembered.
    pub length: Duration,
    /// With fewer requests than these it is never too bad.
    pub volume: u32,
    /// From this share of failed ones on it is.
    pub failed: Share,
    /// From this share of slow ones on it is; `None`: slow ones do not count.
    pub slow: Option<Share>,
}

/// Counts what ended in a time, in buckets. It suits callers that end many
/// requests and report them together.
#[derive(Debug)]
pub struct Timed {
    limits: Limits,
    /// By when each began, the oldest first.
    buckets: VecDeque<(Instant, Tally)>,
}

impl Timed {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            buckets: VecDeque::new(),
        }
    }
}

impl Window for Timed {
    type Report = Tally;

    fn record(&mut self, now: Instant, tally: Tally) -> bool {
        let length = self.limits.length;
        let width = length / BUCKETS;
        // Callers read the clock before they wait for each other, so `now` may
        // be a little before the last bucket's begin: it belongs there, too.
        match self.buckets.back_mut() {
            Some((begin, last)) if now < *begin + width => last.add(tally),
            _ => self.buckets.push_back((now, tally)),
        }
        while let Some((begin, _)) = self.buckets.front()
            && *begin + length <= now
        {
            self.buckets.pop_front();
        }
        let mut all = Tally::default();
        for (_, bucket) in &self.buckets {
            all.add(*bucket);
        }
        let is_slow = |share: Share| share.is_reached(all.slow, all.ended);
        all.ended >= self.limits.volume
            && (self.limits.failed.is_reached(all.failed, all.ended)
                || self.limits.slow.is_some_and(is_slow))
    }

    fn clear(&mut self) {
        self.buckets.clear();
    }
}

/// Remembers the last requests, however long ago they ended. It suits callers
/// that end few requests, where a time would hold too few to judge by.
#[derive(Debug, Clone, Copy)]
pub struct Last {
    size: u32,
    volume: u32,
    failed: Share,
    /// One bit each: 1 for a failure, the newest lowest.
    outcomes: u32,
    count: u32,
}

impl Last {
    /// The most requests that one can remember.
    pub const SIZE_MAX: u32 = 32;

    /// Of the last `size` requests, at most [`Self::SIZE_MAX`], `failed` must
    /// have failed, and at least `volume` must have ended.
    pub fn new(size: u32, volume: u32, failed: Share) -> Self {
        Self {
            size: size.clamp(1, Self::SIZE_MAX),
            volume,
            failed,
            outcomes: 0,
            count: 0,
        }
    }
}

impl Window for Last {
    /// Whether it failed.
    type Report = bool;

    fn record(&mut self, _: Instant, failed: bool) -> bool {
        let kept = u32::MAX >> (u32::BITS - self.size);
        self.outcomes = (self.outcomes << 1 | u32::from(failed)) & kept;
        self.count = (self.count + 1).min(self.size);
        let failures = self.outcomes.count_ones();
        self.count >= self.volume && self.failed.is_reached(failures, self.count)
    }

    fn clear(&mut self) {
        self.outcomes = 0;
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Share = Share::from_basis_points(5_000);
    const LENGTH: Duration = Duration::from_secs(10);

    fn timed() -> Timed {
        Timed::new(Limits {
            length: LENGTH,
            volume: 10,
            failed: HALF,
            slow: Some(Share::from_basis_points(8_000)),
        })
    }

    fn tally(ended: u32, failed: u32, slow: u32) -> Tally {
        Tally {
            ended,
            failed,
            slow,
        }
    }

    #[test]
    fn shares_count_from_the_least_volume_on() {
        for (tally, bad) in [
            (tally(9, 9, 0), false),
            (tally(10, 4, 0), false),
            (tally(10, 5, 0), true),
            (tally(10, 0, 7), false),
            (tally(10, 0, 8), true),
        ] {
            assert_eq!(timed().record(Instant::now(), tally), bad, "{tally:?}");
        }
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let (mut window, now) = (timed(), Instant::now());
        assert!(!window.record(now, tally(9, 9, 0)));
        assert!(!window.record(now + LENGTH, tally(1, 1, 0)));
        assert!(window.record(now + LENGTH + LENGTH / 2, tally(9, 9, 0)));
        window.clear();
        assert!(!window.record(now + LENGTH + LENGTH / 2, tally(9, 9, 0)));
    }

    #[test]
    fn only_the_last_ones_count() {
        let (mut window, now) = (Last::new(20, 10, HALF), Instant::now());
        for _ in 0..9 {
            assert!(!window.record(now, true), "too few to judge by");
        }
        assert!(window.record(now, true));
        for _ in 0..10 {
            window.record(now, false);
        }
        // Ten failures of twenty; the next success pushes one of them out.
        assert!(window.record(now, true));
        for _ in 0..20 {
            window.record(now, false);
        }
        for _ in 0..9 {
            assert!(!window.record(now, true), "nine of twenty");
        }
        assert!(window.record(now, true));
    }

    #[test]
    fn as_many_as_fit_can_be_remembered() {
        let (mut window, now) = (Last::new(99, 32, HALF), Instant::now());
        for _ in 0..31 {
            assert!(!window.record(now, true));
        }
        assert!(window.record(now, true));
    }
}

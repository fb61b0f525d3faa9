//! Leaves an instance alone that fails, and tries it again with one request
//! at a time. Pure but for the lock: the time comes in.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Of so many of the last requests, half must have failed.
const WINDOW: u32 = 20;
/// With fewer than these nothing is known.
const LEAST: u32 = 10;
/// How long an instance is left alone.
const OPEN: Duration = Duration::from_secs(5);

/// Of one instance.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug)]
enum State {
    Closed(Window),
    Open {
        since: Instant,
    },
    /// One request is trying it.
    Probing,
}

impl Default for State {
    fn default() -> Self {
        Self::Closed(Window::default())
    }
}

/// The last outcomes, one bit each: 1 for a failure.
#[derive(Debug, Default, Clone, Copy)]
struct Window {
    bits: u32,
    count: u32,
}

impl Window {
    fn with(self, failed: bool) -> Self {
        Self {
            bits: (self.bits << 1 | u32::from(failed)) & ((1 << WINDOW) - 1),
            count: (self.count + 1).min(WINDOW),
        }
    }

    fn is_bad(self) -> bool {
        self.count >= LEAST && self.bits.count_ones() * 2 >= self.count
    }
}

/// The right to send one request, whose outcome is owed. Dropped without one,
/// nothing was learned.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
    owes: bool,
}

impl Breaker {
    /// Whether a request could be let through.
    pub(super) fn would_admit(&self, now: Instant) -> bool {
        match &*self.0.lock() {
            State::Closed(_) => true,
            State::Open { since } => now.duration_since(*since) >= OPEN,
            State::Probing => false,
        }
    }

    pub(super) fn admit(&self, now: Instant) -> Option<Pass<'_>> {
        let mut state = self.0.lock();
        let is_probe = match &*state {
            State::Closed(_) => false,
            State::Open { since } if now.duration_since(*since) >= OPEN => {
                *state = State::Probing;
                true
            }
            State::Open { .. } | State::Probing => return None,
        };
        Some(Pass {
            breaker: self,
            is_probe,
            owes: true,
        })
    }
}

impl Pass<'_> {
    pub(super) fn ended(mut self, failed: bool, now: Instant) {
        self.owes = false;
        let mut state = self.breaker.0.lock();
        *state = match (&*state, self.is_probe, failed) {
            (State::Probing, true, true) => State::Open { since: now },
            (State::Probing, true, false) => State::default(),
            (State::Closed(window), _, failed) => {
                let window = window.with(failed);
                if window.is_bad() {
                    State::Open { since: now }
                } else {
                    State::Closed(window)
                }
            }
            // What was sent before it opened says nothing about now.
            (State::Open { .. } | State::Probing, ..) => return,
        };
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.owes && self.is_probe {
            // The next one tries at once.
            let mut state = self.breaker.0.lock();
            if let Some(since) = Instant::now().checked_sub(OPEN) {
                *state = State::Open { since };
            } else {
                *state = State::default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn failing(breaker: &Breaker, times: u32, now: Instant) {
        for _ in 0..times {
            breaker.admit(now).unwrap().ended(true, now);
        }
    }

    #[test]
    fn it_opens_tries_and_closes() {
        let (breaker, begun) = (Breaker::default(), Instant::now());
        failing(&breaker, LEAST - 1, begun);
        assert!(breaker.would_admit(begun));
        failing(&breaker, 1, begun);
        assert!(!breaker.would_admit(begun) && breaker.admit(begun).is_none());
        let later = begun + OPEN;
        let probe = breaker.admit(later).unwrap();
        assert!(breaker.admit(later).is_none(), "one at a time");
        probe.ended(true, later);
        assert!(breaker.admit(later).is_none(), "the next after a while");
        let later = later + OPEN;
        breaker.admit(later).unwrap().ended(false, later);
        assert!(breaker.admit(later).is_some());
        // It begins anew, and does not remember the failures.
        failing(&breaker, LEAST - 1, later);
        assert!(breaker.would_admit(later));
    }

    #[test]
    fn a_probe_that_is_given_up_gives_its_place_to_the_next() {
        let (breaker, begun) = (Breaker::default(), Instant::now());
        failing(&breaker, LEAST, begun);
        drop(breaker.admit(begun + OPEN).unwrap());
        let later = Instant::now() + OPEN;
        assert!(breaker.admit(later).is_some());
    }

    #[test]
    fn late_answers_decide_nothing() {
        let (breaker, begun) = (Breaker::default(), Instant::now());
        let late = breaker.admit(begun).unwrap();
        let later_still = breaker.admit(begun).unwrap();
        failing(&breaker, LEAST, begun);
        late.ended(false, begun);
        assert!(!breaker.would_admit(begun));
        let probe = breaker.admit(begun + OPEN).unwrap();
        later_still.ended(false, begun + OPEN);
        assert!(!breaker.would_admit(begun + OPEN));
        probe.ended(true, begun + OPEN);
        assert!(!breaker.would_admit(begun + OPEN));
    }

    proptest! {
        /// However outcomes come: after the pause there is always a try, and
        /// half a window of successes never opens it.
        #[test]
        fn it_never_stays_shut(outcomes: Vec<bool>) {
            let breaker = Breaker::default();
            let mut now = Instant::now();
            for failed in outcomes {
                if let Some(pass) = breaker.admit(now) {
                    pass.ended(failed, now);
                } else {
                    now += OPEN;
                    prop_assert!(breaker.would_admit(now));
                }
            }
        }
    }
}

//! When an upstream is no longer asked for a while: the state machine alone,
//! time comes in.
//!
//! Closed, it counts what ended in a window of buckets. It opens where at
//! least `volume` ended and the share of failed or of slow ones is too high.
//! Open, it refuses for a time. Then it is half-open: as many probes pass as
//! must succeed; when all have, it closes, and the first that fails opens it.

use plan::{Breaker as Settings, Percent};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Parts of the window; at the end of each, the oldest is forgotten.
const BUCKETS: u32 = 10;

/// What ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) ended: u32,
    pub(crate) failed: u32,
    pub(crate) slow: u32,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.ended = self.ended.saturating_add(other.ended);
        self.failed = self.failed.saturating_add(other.failed);
        self.slow = self.slow.saturating_add(other.slow);
    }
}

/// Whether a request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permit {
    /// As ever.
    Closed,
    /// As a probe of this round; its end must be told.
    Probe(Round),
    /// Not now; try after this time.
    Refused(Duration),
}

/// One time that a breaker was half-open; probes of an earlier one say
/// nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Round(u64);

/// How a probe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probe {
    Passed,
    Failed,
    /// Its client has gone: it says nothing.
    Abandoned,
}

/// What an operator is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Requests pass.
    Closed,
    /// A few requests pass, to see whether it works again.
    HalfOpen,
    /// Requests are refused, or go to the owner.
    Open,
}

#[derive(Debug)]
enum State {
    Closed(Window),
    Open { until: Instant },
    HalfOpen { running: u32, passed: u32 },
}

/// The last requests by when they ended, the oldest first.
#[derive(Debug, Default)]
struct Window {
    buckets: VecDeque<(Instant, Tally)>,
}

/// The breaker of one upstream.
#[derive(Debug)]
pub(crate) struct Breaker {
    settings: Settings,
    state: State,
    round: Round,
}

impl Breaker {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            state: State::Closed(Window::default()),
            round: Round(0),
        }
    }

    pub(crate) fn state(&self) -> BreakerState {
        match self.state {
            State::Closed(_) => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Asks for a request.
    pub(crate) fn permit(&mut self, now: Instant) -> Permit {
        if let State::Open { until } = self.state {
            if now < until {
                return Permit::Refused(until - now);
            }
            self.round = Round(self.round.0 + 1);
            self.state = State::HalfOpen {
                running: 0,
                passed: 0,
            };
        }
        match &mut self.state {
            State::HalfOpen { running, passed } => {
                if *running + *passed < self.settings.probes {
                    *running += 1;
                    Permit::Probe(self.round)
                } else {
                    // How long the probes take is not known; soon.
                    Permit::Refused(Duration::ZERO)
                }
            }
            State::Closed(_) | State::Open { .. } => Permit::Closed,
        }
    }

    /// Requests ended that were sent while it was closed.
    pub(crate) fn record(&mut self, now: Instant, tally: Tally) {
        let State::Closed(window) = &mut self.state else {
            // They were sent before it opened: nothing new.
            return;
        };
        let all = window.record(now, self.settings.window, tally);
        if all.ended < self.settings.volume {
            return;
        }
        let slow = self.settings.slow;
        if reaches(all.failed, all.ended, self.settings.errors)
            || slow.is_some_and(|slow| reaches(all.slow, all.ended, slow.share))
        {
            self.open(now);
        }
    }

    /// A probe ended.
    pub(crate) fn probed(&mut self, now: Instant, round: Round, probe: Probe) {
        let State::HalfOpen { running, passed } = &mut self.state else {
            return;
        };
        if round != self.round {
            return;
        }
        *running = running.saturating_sub(1);
        match probe {
            Probe::Abandoned => {}
            Probe::Failed => self.open(now),
            Probe::Passed => {
                *passed += 1;
                if *passed >= self.settings.probes {
                    self.state = State::Closed(Window::default());
                }
            }
        }
    }

    fn open(&mut self, now: Instant) {
        self.state = State::Open {
            until: now + self.settings.open,
        };
    }
}

impl Window {
    /// Adds what ended and returns all that the window holds.
    fn record(&mut self, now: Instant, length: Duration, tally: Tally) -> Tally {
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
        all
    }
}

/// Whether `part` of `whole` is at least `share`, and something at all.
fn reaches(part: u32, whole: u32, share: Percent) -> bool {
    let steps = u64::from(Percent::STEPS);
    part > 0 && u64::from(part) * steps >= u64::from(whole) * u64::from(share.basis_points())
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::SlowCalls;
    use proptest::prelude::*;

    const WINDOW: Duration = Duration::from_secs(10);
    const OPEN: Duration = Duration::from_secs(5);

    fn breaker() -> Breaker {
        Breaker::new(Settings {
            errors: Percent::parse("50%").unwrap(),
            slow: Some(SlowCalls {
                over: Duration::from_secs(1),
                share: Percent::parse("80%").unwrap(),
            }),
            window: WINDOW,
            volume: 10,
            open: OPEN,
            probes: 2,
            statuses: vec![503],
        })
    }

    fn tally(ended: u32, failed: u32, slow: u32) -> Tally {
        Tally {
            ended,
            failed,
            slow,
        }
    }

    fn opened(now: Instant) -> Breaker {
        let mut breaker = breaker();
        breaker.record(now, tally(10, 10, 0));
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker
    }

    #[test]
    fn rates_open_it_above_the_least_volume() {
        for (tally, state) in [
            (tally(9, 9, 0), BreakerState::Closed),
            (tally(10, 4, 0), BreakerState::Closed),
            (tally(10, 5, 0), BreakerState::Open),
            (tally(10, 0, 7), BreakerState::Closed),
            (tally(10, 0, 8), BreakerState::Open),
        ] {
            let mut breaker = breaker();
            breaker.record(Instant::now(), tally);
            assert_eq!(breaker.state(), state, "{tally:?}");
        }
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let (mut breaker, now) = (breaker(), Instant::now());
        breaker.record(now, tally(9, 9, 0));
        breaker.record(now + WINDOW, tally(1, 1, 0));
        assert_eq!(breaker.state(), BreakerState::Closed);
        breaker.record(now + WINDOW + WINDOW / 2, tally(9, 9, 0));
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn as_many_probes_pass_as_must_succeed() {
        let now = Instant::now();
        let mut breaker = opened(now);
        assert_eq!(breaker.permit(now), Permit::Refused(OPEN));
        let later = now + OPEN;
        let (one, two) = (breaker.permit(later), breaker.permit(later));
        let (Permit::Probe(round), Permit::Probe(_)) = (one, two) else {
            panic!("{one:?} {two:?}");
        };
        assert_eq!(breaker.permit(later), Permit::Refused(Duration::ZERO));
        breaker.probed(later, round, Probe::Abandoned);
        assert_eq!(breaker.permit(later), Permit::Probe(round));
        breaker.probed(later, round, Probe::Passed);
        assert_eq!(breaker.permit(later), Permit::Refused(Duration::ZERO));
        breaker.probed(later, round, Probe::Passed);
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert_eq!(breaker.permit(later), Permit::Closed);
    }

    #[test]
    fn one_failed_probe_opens_it_and_late_ones_say_nothing() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let later = now + OPEN;
        let Permit::Probe(old) = breaker.permit(later) else {
            panic!("no probe");
        };
        breaker.probed(later, old, Probe::Failed);
        assert_eq!(breaker.permit(later), Permit::Refused(OPEN));
        let Permit::Probe(new) = breaker.permit(later + OPEN) else {
            panic!("no probe");
        };
        breaker.probed(later + OPEN, old, Probe::Passed);
        breaker.probed(later + OPEN, old, Probe::Failed);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        breaker.probed(later + OPEN, new, Probe::Passed);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Ask,
        End(u8, bool),
        Leave(u8),
        Wait(u16),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => Just(Step::Ask),
            3 => (any::<u8>(), any::<bool>()).prop_map(|(at, good)| Step::End(at, good)),
            1 => any::<u8>().prop_map(Step::Leave),
            1 => (0_u16..8_000).prop_map(Step::Wait),
        ];
        prop::collection::vec(step, 0..400)
    }

    proptest! {
        /// Whatever comes: never more probes at once than allowed, and it never
        /// refuses for ever.
        #[test]
        fn probes_are_bounded_and_it_always_recovers(steps in steps()) {
            let (mut breaker, mut now) = (breaker(), Instant::now());
            let mut running: Vec<Permit> = Vec::new();
            let mut last = Round(0);
            for step in steps {
                match step {
                    Step::Ask => {
                        let permit = breaker.permit(now);
                        if let Permit::Refused(after) = permit {
                            prop_assert!(after <= OPEN);
                        } else {
                            running.push(permit);
                        }
                        if let Permit::Probe(round) = permit {
                            last = round;
                        }
                    }
                    Step::End(at, good) if !running.is_empty() => {
                        match running.swap_remove(usize::from(at) % running.len()) {
                            Permit::Probe(round) => {
                                let probe = if good { Probe::Passed } else { Probe::Failed };
                                breaker.probed(now, round, probe);
                            }
                            _ => breaker.record(now, tally(1, u32::from(!good), 0)),
                        }
                    }
                    Step::Leave(at) if !running.is_empty() => {
                        let left = running.swap_remove(usize::from(at) % running.len());
                        if let Permit::Probe(round) = left {
                            breaker.probed(now, round, Probe::Abandoned);
                        }
                    }
                    Step::Wait(millis) => now += Duration::from_millis(millis.into()),
                    Step::End(..) | Step::Leave(_) => {}
                }
                let probes = running.iter().filter(|one| **one == Permit::Probe(last)).count();
                prop_assert!(probes <= 2);
            }
            for left in running {
                if let Permit::Probe(round) = left {
                    breaker.probed(now, round, Probe::Abandoned);
                }
            }
            now += OPEN;
            for _ in 0..2 {
                match breaker.permit(now) {
                    Permit::Probe(round) => breaker.probed(now, round, Probe::Passed),
                    Permit::Closed => {}
                    Permit::Refused(after) => prop_assert!(false, "refused for {after:?}"),
                }
            }
            prop_assert_eq!(breaker.state(), BreakerState::Closed);
        }
    }
}

//! When an instance or an upstream is no longer asked for a while: the circuit
//! breaker's state machine alone (Nygard, *Release It!*).
//!
//! ```text
//!              too many failed
//!    Closed ───────────────────▶ Open ◀─────────┐
//!       ▲                          │ its time   │ a probe failed
//!       │ as many probes succeeded ▼ is over    │
//!       └────────────────────── HalfOpen ───────┘
//! ```
//!
//! Closed, a [`Window`] judges what ended. Open, it refuses for a time. Half
//! open, as many probes pass as must succeed.

use std::time::{Duration, Instant};

use crate::window::Window;

/// Whether a request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// It may; its end is reported with [`Breaker::record`].
    Closed,
    /// It may, as a probe of this round; its end must be reported with
    /// [`Breaker::end_probe`].
    Probe(Round),
    /// Not now; try after this time.
    Refused(Duration),
}

/// One time that a breaker was half open. A probe of an earlier one says
/// nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round(u64);

/// How a probe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Well.
    Passed,
    /// Not well.
    Failed,
    /// Its caller gave it up: it says nothing, and another may take its place.
    Abandoned,
}

/// What an operator is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Requests pass.
    Closed,
    /// A few requests pass, to see whether it works again.
    HalfOpen,
    /// Requests are refused.
    Open,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen { running: u32, passed: u32 },
}

/// A circuit breaker that judges by `W`.
#[derive(Debug)]
pub struct Breaker<W> {
    /// Empty unless it is closed.
    window: W,
    /// How long it stays open.
    open: Duration,
    /// How many probes must succeed before it closes.
    probes: u32,
    state: State,
    round: Round,
}

impl<W: Window> Breaker<W> {
    /// A closed one.
    pub fn new(window: W, open: Duration, probes: u32) -> Self {
        Self {
            window,
            open,
            probes,
            state: State::Closed,
            round: Round(0),
        }
    }

    /// What it does now. An open one whose time is over is still open: the
    /// next request makes it half open.
    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Whether [`Self::permit`] would let a request pass.
    pub fn would_permit(&self, now: Instant) -> bool {
        match self.state {
            State::Closed => true,
            State::Open { until } => now >= until && self.probes > 0,
            State::HalfOpen { running, passed } => running + passed < self.probes,
        }
    }

    /// Asks for a request.
    pub fn permit(&mut self, now: Instant) -> Permit {
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
                if *running + *passed < self.probes {
                    *running += 1;
                    Permit::Probe(self.round)
                } else {
                    // How long the probes take is not known; soon.
                    Permit::Refused(Duration::ZERO)
                }
            }
            State::Closed | State::Open { .. } => Permit::Closed,
        }
    }

    /// Requests ended that were sent while it was closed.
    pub fn record(&mut self, now: Instant, report: W::Report) {
        // Where it is not closed, they were sent before it opened: nothing new.
        if matches!(self.state, State::Closed) && self.window.record(now, report) {
            self.open(now);
        }
    }

    /// A probe ended.
    pub fn end_probe(&mut self, now: Instant, round: Round, probe: Probe) {
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
                if *passed >= self.probes {
                    self.state = State::Closed;
                }
            }
        }
    }

    fn open(&mut self, now: Instant) {
        self.window.clear();
        self.state = State::Open {
            until: now + self.open,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::share::Share;
    use crate::window::{Last, Limits, Tally, Timed};

    const OPEN: Duration = Duration::from_secs(5);
    const HALF: Share = Share::from_basis_points(5_000);

    /// Ten requests must have ended, half of them badly; two probes.
    fn timed() -> Breaker<Timed> {
        let limits = Limits {
            length: Duration::from_secs(10),
            volume: 10,
            failed: HALF,
            slow: None,
        };
        Breaker::new(Timed::new(limits), OPEN, 2)
    }

    fn last() -> Breaker<Last> {
        Breaker::new(Last::new(20, 10, HALF), OPEN, 1)
    }

    fn tally(ended: u32, failed: u32) -> Tally {
        Tally {
            ended,
            failed,
            slow: 0,
        }
    }

    fn opened(now: Instant) -> Breaker<Timed> {
        let mut breaker = timed();
        breaker.record(now, tally(10, 10));
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker
    }

    fn probe<W: Window>(breaker: &mut Breaker<W>, now: Instant) -> Round {
        match breaker.permit(now) {
            Permit::Probe(round) => round,
            other => panic!("no probe: {other:?}"),
        }
    }

    #[test]
    fn as_many_probes_pass_as_must_succeed() {
        let now = Instant::now();
        let mut breaker = opened(now);
        assert_eq!(breaker.permit(now), Permit::Refused(OPEN));
        let later = now + OPEN;
        let round = probe(&mut breaker, later);
        probe(&mut breaker, later);
        assert_eq!(breaker.permit(later), Permit::Refused(Duration::ZERO));
        breaker.end_probe(later, round, Probe::Abandoned);
        assert_eq!(breaker.permit(later), Permit::Probe(round));
        breaker.end_probe(later, round, Probe::Passed);
        assert_eq!(breaker.permit(later), Permit::Refused(Duration::ZERO));
        breaker.end_probe(later, round, Probe::Passed);
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert_eq!(breaker.permit(later), Permit::Closed);
    }

    #[test]
    fn one_failed_probe_opens_it_and_late_ones_say_nothing() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let later = now + OPEN;
        let old = probe(&mut breaker, later);
        breaker.end_probe(later, old, Probe::Failed);
        assert_eq!(breaker.permit(later), Permit::Refused(OPEN));
        let later = later + OPEN;
        let new = probe(&mut breaker, later);
        breaker.end_probe(later, old, Probe::Passed);
        breaker.end_probe(later, old, Probe::Failed);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        breaker.end_probe(later, new, Probe::Passed);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
    }

    #[test]
    fn it_opens_probes_and_begins_anew() {
        let (mut breaker, begun) = (last(), Instant::now());
        let fail = |breaker: &mut Breaker<Last>, times, now| {
            for _ in 0..times {
                assert_eq!(breaker.permit(now), Permit::Closed);
                breaker.record(now, true);
            }
        };
        fail(&mut breaker, 9, begun);
        assert!(breaker.would_permit(begun));
        fail(&mut breaker, 1, begun);
        assert!(!breaker.would_permit(begun));
        let later = begun + OPEN;
        let first = probe(&mut breaker, later);
        assert!(!breaker.would_permit(later), "one at a time");
        breaker.end_probe(later, first, Probe::Failed);
        assert!(!breaker.would_permit(later), "the next after a while");
        let later = later + OPEN;
        let second = probe(&mut breaker, later);
        breaker.end_probe(later, second, Probe::Passed);
        // It does not remember the failures.
        fail(&mut breaker, 9, later);
        assert!(breaker.would_permit(later));
    }

    #[test]
    fn late_ends_decide_nothing() {
        let (mut breaker, begun) = (last(), Instant::now());
        for _ in 0..10 {
            breaker.record(begun, true);
        }
        breaker.record(begun, false);
        assert!(!breaker.would_permit(begun));
        let later = begun + OPEN;
        let round = probe(&mut breaker, later);
        breaker.record(later, false);
        assert!(!breaker.would_permit(later));
        breaker.end_probe(later, round, Probe::Failed);
        assert!(!breaker.would_permit(later));
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

    /// Whatever comes: never more probes at once than allowed, it says before
    /// what it does, and it never refuses for ever.
    fn probes_are_bounded_and_it_always_recovers<W: Window>(
        mut breaker: Breaker<W>,
        probes_max: usize,
        report: impl Fn(bool) -> W::Report,
        steps: Vec<Step>,
    ) -> Result<(), TestCaseError> {
        let mut now = Instant::now();
        let mut running: Vec<Permit> = Vec::new();
        let mut last = Round(0);
        for step in steps {
            match step {
                Step::Ask => {
                    let would = breaker.would_permit(now);
                    let permit = breaker.permit(now);
                    prop_assert_eq!(would, !matches!(permit, Permit::Refused(_)));
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
                            breaker.end_probe(now, round, probe);
                        }
                        _ => breaker.record(now, report(!good)),
                    }
                }
                Step::Leave(at) if !running.is_empty() => {
                    let left = running.swap_remove(usize::from(at) % running.len());
                    if let Permit::Probe(round) = left {
                        breaker.end_probe(now, round, Probe::Abandoned);
                    }
                }
                Step::Wait(millis) => now += Duration::from_millis(millis.into()),
                Step::End(..) | Step::Leave(_) => {}
            }
            let current = Permit::Probe(last);
            let probes = running.iter().filter(|one| **one == current).count();
            prop_assert!(probes <= probes_max);
        }
        for left in running {
            if let Permit::Probe(round) = left {
                breaker.end_probe(now, round, Probe::Abandoned);
            }
        }
        now += OPEN;
        for _ in 0..probes_max {
            match breaker.permit(now) {
                Permit::Probe(round) => breaker.end_probe(now, round, Probe::Passed),
                Permit::Closed => {}
                Permit::Refused(after) => prop_assert!(false, "refused for {after:?}"),
            }
        }
        prop_assert_eq!(breaker.state(), BreakerState::Closed);
        Ok(())
    }

    proptest! {
        #[test]
        fn with_a_timed_window_it_always_recovers(steps in steps()) {
            let report = |failed| tally(1, u32::from(failed));
            probes_are_bounded_and_it_always_recovers(timed(), 2, report, steps)?;
        }

        #[test]
        fn with_the_last_outcomes_it_always_recovers(steps in steps()) {
            probes_are_bounded_and_it_always_recovers(last(), 1, |failed| failed, steps)?;
        }
    }
}

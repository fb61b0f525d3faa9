//! A breaker as all workers share it. Closed, a request costs one relaxed
//! load and, at its end, an addition to its worker's own tally; tallies are
//! brought together where something failed, at every 32nd request and every
//! second. Only then, and while it is not closed, is there a lock.

use super::breaker::{self, Breaker, BreakerState, Permit, Probe, Round, Tally};
use parking_lot::Mutex;
use std::{
    cell::Cell,
    sync::atomic::{AtomicU8, Ordering},
    time::{Duration, Instant},
};

/// Requests that end well before a worker's tally is told.
const TALLY_MAX: u32 = 32;

/// A breaker that workers share.
#[derive(Debug)]
pub(crate) struct SharedBreaker {
    upstream: String,
    settings: plan::Breaker,
    state: AtomicU8,
    breaker: Mutex<Breaker>,
}

/// The ends of one worker's requests that were not told yet.
#[derive(Debug, Default)]
pub(crate) struct UnreportedCounts(Cell<Tally>);

/// A request that a breaker let pass. Dropped without an end, it was abandoned.
#[derive(Debug)]
pub(crate) struct BreakerPermit<'a> {
    breaker: &'a SharedBreaker,
    unreported: &'a UnreportedCounts,
    begun: Instant,
    /// Where it is a probe whose end was not told yet.
    probe: Option<Round>,
}

impl SharedBreaker {
    pub(crate) fn new(upstream: &str, settings: &plan::Breaker) -> Self {
        Self {
            upstream: upstream.to_owned(),
            settings: settings.clone(),
            state: AtomicU8::new(code(BreakerState::Closed)),
            breaker: Mutex::new(breaker::new(settings)),
        }
    }

    /// Lets a request pass, or says when to come back.
    pub(crate) fn pass<'a>(
        &'a self,
        unreported: &'a UnreportedCounts,
        begun: Instant,
    ) -> Result<BreakerPermit<'a>, Duration> {
        let probe = if self.is_closed() {
            None
        } else {
            match self.change(|breaker| breaker.permit(begun)) {
                Permit::Closed => None,
                Permit::Probe(round) => Some(round),
                Permit::Refused(after) => return Err(after),
            }
        };
        Ok(BreakerPermit {
            breaker: self,
            unreported,
            begun,
            probe,
        })
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.load(Ordering::Relaxed) == code(BreakerState::Closed)
    }

    pub(crate) fn state(&self) -> BreakerState {
        self.breaker.lock().state()
    }

    /// Whether an answer with this status counts as failed.
    pub(crate) fn is_failure(&self, status: u16) -> bool {
        self.settings.statuses.contains(&status)
    }

    /// Brings a worker's tally in.
    pub(crate) fn tell(&self, unreported: &UnreportedCounts, now: Instant) {
        let tally = unreported.0.take();
        if tally.ended > 0 {
            self.change(|breaker| breaker.record(now, tally));
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut breaker = self.breaker.lock();
        let before = breaker.state();
        let result = change(&mut breaker);
        let after = breaker.state();
        if before != after {
            self.state.store(code(after), Ordering::Relaxed);
            let upstream = &self.upstream;
            match after {
                BreakerState::Open => tracing::warn!(%upstream, "breaker opened"),
                BreakerState::HalfOpen => tracing::info!(%upstream, "breaker lets probes pass"),
                BreakerState::Closed => tracing::info!(%upstream, "breaker closed"),
            }
        }
        result
    }
}

impl BreakerPermit<'_> {
    /// It ended.
    pub(crate) fn end(mut self, failed: bool) {
        let slow = self
            .breaker
            .settings
            .slow
            .is_some_and(|slow| self.begun.elapsed() > slow.over);
        if let Some(round) = self.probe.take() {
            let probe = if failed || slow {
                Probe::Failed
            } else {
                Probe::Passed
            };
            let now = Instant::now();
            self.breaker
                .change(|breaker| breaker.end_probe(now, round, probe));
            return;
        }
        let mut tally = self.unreported.0.get();
        tally.add(Tally {
            ended: 1,
            failed: failed.into(),
            slow: slow.into(),
        });
        self.unreported.0.set(tally);
        if failed || slow || tally.ended >= TALLY_MAX {
            // Later than it begun by as long as it took: no matter in a window
            // of seconds, but a failure must not be older than it is.
            let now = if failed { Instant::now() } else { self.begun };
            self.breaker.tell(self.unreported, now);
        }
    }
}

impl Drop for BreakerPermit<'_> {
    fn drop(&mut self) {
        if let Some(round) = self.probe.take() {
            let now = Instant::now();
            self.breaker
                .change(|breaker| breaker.end_probe(now, round, Probe::Abandoned));
        }
    }
}

fn code(state: BreakerState) -> u8 {
    match state {
        BreakerState::Closed => 0,
        BreakerState::HalfOpen => 1,
        BreakerState::Open => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::Percent;

    #[test]
    fn a_failure_brings_in_what_went_well_before_it() {
        let breaker = SharedBreaker::new(
            "a",
            &plan::Breaker {
                errors: Percent::parse("50%").unwrap(),
                slow: None,
                window: Duration::from_secs(10),
                volume: 4,
                open: Duration::from_mins(1),
                probes: 1,
                statuses: vec![503],
            },
        );
        let unreported = UnreportedCounts::default();
        let end = |failed: bool| {
            let permit = breaker.pass(&unreported, Instant::now()).unwrap();
            permit.end(failed);
        };
        for _ in 0..10 {
            end(false);
        }
        for _ in 0..9 {
            end(true);
        }
        assert!(breaker.is_closed());
        // An abandoned one says nothing.
        drop(breaker.pass(&unreported, Instant::now()).unwrap());
        end(true);
        assert_eq!(breaker.state(), BreakerState::Open);
        assert!(breaker.pass(&unreported, Instant::now()).is_err());
    }
}

//! The breaker of an upstream as the plan sets it: it opens where at least
//! `volume` requests ended in its window and the share of failed or of slow ones
//! is too high. The state machine is `resilience`'s.

pub use resilience::breaker::BreakerState;
pub(crate) use resilience::{Permit, Probe, Round, window::Tally};

use plan::{Breaker as Settings, Percent};
use resilience::{
    Share,
    window::{Limits, Timed},
};

/// The breaker of one upstream.
pub(crate) type Breaker = resilience::Breaker<Timed>;

pub(crate) fn new(settings: &Settings) -> Breaker {
    let window = Timed::new(Limits {
        length: settings.window,
        volume: settings.volume,
        failed: share(settings.errors),
        slow: settings.slow.map(|slow| share(slow.share)),
    });
    Breaker::new(window, settings.open, settings.probes)
}

pub(super) fn share(percent: Percent) -> Share {
    Share::from_basis_points(percent.basis_points())
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::SlowCalls;
    use std::time::{Duration, Instant};

    const OPEN: Duration = Duration::from_secs(5);

    fn breaker() -> Breaker {
        new(&Settings {
            errors: Percent::parse("50%").unwrap(),
            slow: Some(SlowCalls {
                over: Duration::from_secs(1),
                share: Percent::parse("80%").unwrap(),
            }),
            window: Duration::from_secs(10),
            volume: 10,
            open: OPEN,
            probes: 2,
            statuses: vec![503],
        })
    }

    #[test]
    fn it_opens_and_closes_as_the_plan_says() {
        let now = Instant::now();
        for (ended, failed, slow, state) in [
            (9, 9, 0, BreakerState::Closed),
            (10, 4, 0, BreakerState::Closed),
            (10, 5, 0, BreakerState::Open),
            (10, 0, 7, BreakerState::Closed),
            (10, 0, 8, BreakerState::Open),
        ] {
            let mut breaker = breaker();
            let tally = Tally {
                ended,
                failed,
                slow,
            };
            breaker.record(now, tally);
            assert_eq!(breaker.state(), state, "{tally:?}");
            if state == BreakerState::Open {
                assert_eq!(breaker.permit(now), Permit::Refused(OPEN));
                let later = now + OPEN;
                for _ in 0..2 {
                    let Permit::Probe(round) = breaker.permit(later) else {
                        panic!("no probe");
                    };
                    breaker.end_probe(later, round, Probe::Passed);
                }
                assert_eq!(breaker.state(), BreakerState::Closed);
            }
        }
    }
}

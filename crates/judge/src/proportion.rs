//! Errors, or slow requests, as shares.
//!
//! *Two sides*: in a window in which both together have `k` errors, each of them
//! is the service's with a probability that depends on nothing but the requests
//! of each side and the ratio of their error rates. What the rate is, by night or
//! in an incident that both feel, drops out. It is the exact test of two
//! proportions, made sequential window by window (Turner, Ly, Grünwald: "Generic
//! E-variables for exact sequential k-sample tests that allow for optional
//! stopping", JSPI 2024; ter Schure, Pérez-Ortiz, Ly, Grünwald: "The anytime-valid
//! logrank test", NEJSDS 2024). Errors are taken to be rare (Poisson); of
//! frequent ones the test says less than it could, which `Increment::independent`
//! gives back.
//!
//! *One side*: Bernoulli trials against a limit.

use crate::{
    block::CELLS,
    dispersion::Parts,
    evidence::{ALTERNATIVES, Counted, Increment, Towards},
    verdict::Totals,
};

/// By which factors alternatives differ from the hypothesis.
const FACTORS: [f64; ALTERNATIVES] = [
    1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 8.0, 30.0, 1000.0,
];
/// No alternative is surer than this.
const MOST: f64 = 0.999;

fn alternatives(hypothesis: f64, towards: Towards) -> [f64; ALTERNATIVES] {
    FACTORS.map(|factor| match towards {
        Towards::Worse => hypothesis * factor,
        Towards::Better => hypothesis / factor,
    })
}

/// What is counted of one side in one window.
#[derive(Debug, Clone)]
pub(crate) struct Counts {
    /// Of each cell.
    pub(crate) requests: [f64; CELLS],
    /// Of those, failed or slow.
    pub(crate) events: [f64; CELLS],
}

impl Counts {
    pub(crate) fn all_requests(&self) -> f64 {
        self.requests.iter().sum()
    }

    pub(crate) fn all_events(&self) -> f64 {
        self.events.iter().sum()
    }

    fn totals(&self) -> Totals {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "sums of counts"
        )]
        let requests = self.all_requests() as u64;
        Totals {
            requests,
            events: self.all_events(),
        }
    }
}

/// Evidence of one window against "the service's share is `ratio` times the
/// monolith's". None where a side had no requests.
pub(crate) fn two_sides(
    service: &Counts,
    monolith: &Counts,
    ratio: f64,
    towards: Towards,
) -> Option<Increment> {
    let (on_service, on_monolith) = (service.all_requests(), monolith.all_requests());
    if on_service <= 0.0 || on_monolith <= 0.0 {
        return None;
    }
    let (bad, fine) = (service.all_events(), monolith.all_events());
    let all = bad + fine;
    let chance = |ratio: f64| ratio * on_service / (ratio * on_service + on_monolith);
    // Not as what is left of 1: that may be too little for a number.
    let rest = |ratio: f64| on_monolith / (ratio * on_service + on_monolith);
    let expected = chance(ratio);
    let log_ratios = alternatives(ratio, towards).map(|alternative| {
        let (more, less) = (chance(alternative), rest(alternative));
        bad * (more / expected).ln() + fine * (less / rest(ratio)).ln()
    });
    // The monolith's share, by both sides together.
    let share = all / (ratio * on_service + on_monolith);
    let mut parts = Parts::default();
    for at in 0..CELLS {
        let more = service.events[at] - service.requests[at] * share * ratio;
        parts.service[at] = (1.0 - expected) * more;
        let more = monolith.events[at] - monolith.requests[at] * share;
        parts.monolith[at] = -expected * more;
    }
    let assumed = all * expected * (1.0 - expected);
    // Hypergeometric: without this, as if errors were drawn with replacement.
    let requests = on_service + on_monolith;
    let left = ((requests - all) / (requests - 1.0).max(1.0)).clamp(0.0, 1.0);
    let squares = (1.0 - expected).powi(2) * squares(on_service, bad, ratio * share)
        + expected.powi(2) * squares(on_monolith, fine, share);
    Some(Increment {
        log_ratios,
        assumed,
        independent: assumed * left,
        squares,
        parts,
        // Mantel and Haenszel's ratio.
        counted: Counted {
            service: service.totals(),
            monolith: monolith.totals(),
            numerator: bad * on_monolith / requests,
            denominator: fine * on_service / requests,
        },
    })
}

/// Evidence of one window against "the service's share is `limit`", which is
/// above 0 and below 1. None without requests. What the monolith did is counted
/// only.
pub(crate) fn one_side(
    service: &Counts,
    monolith: &Counts,
    limit: f64,
    towards: Towards,
) -> Option<Increment> {
    let requests = service.all_requests();
    if requests <= 0.0 {
        return None;
    }
    let bad = service.all_events();
    let log_ratios = alternatives(limit, towards).map(|alternative| {
        let share = alternative.min(limit.max(MOST));
        bad * (share / limit).ln() + (requests - bad) * ((1.0 - share) / (1.0 - limit)).ln()
    });
    let mut parts = Parts::default();
    for at in 0..CELLS {
        parts.service[at] = service.events[at] - service.requests[at] * limit;
    }
    let variance = requests * limit * (1.0 - limit);
    Some(Increment {
        log_ratios,
        assumed: variance,
        independent: variance,
        squares: squares(requests, bad, limit),
        parts,
        counted: Counted {
            service: service.totals(),
            monolith: monolith.totals(),
            numerator: bad,
            denominator: requests,
        },
    })
}

/// The squares of single requests around a share.
fn squares(requests: f64, events: f64, share: f64) -> f64 {
    events * (1.0 - share).powi(2) + (requests - events) * share.powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All in one cell: what a likelihood says does not depend on it.
    fn counts(requests: f64, events: f64) -> Counts {
        let mut counts = Counts {
            requests: [0.0; CELLS],
            events: [0.0; CELLS],
        };
        counts.requests[0] = requests;
        counts.events[0] = events;
        counts
    }

    fn choose(all: u32, of: u32) -> f64 {
        (1..=of).fold(1.0, |product, at| {
            product * f64::from(all - at + 1) / f64::from(at)
        })
    }

    /// Over all ways in which errors may fall, weighed by how likely they are,
    /// each ratio is 1 on the average: exactly, and at counts as small as these.
    #[test]
    fn under_the_hypothesis_ratios_are_one_on_the_average() {
        let (on_service, on_monolith, ratio, all) = (30.0, 70.0, 1.1, 4);
        let chance: f64 = ratio * on_service / (ratio * on_service + on_monolith);
        for towards in [Towards::Worse, Towards::Better] {
            let mut mean = [0.0; ALTERNATIVES];
            for bad in 0..=all {
                let fine = all - bad;
                let likely = choose(all, bad)
                    * chance.powf(f64::from(bad))
                    * (1.0 - chance).powf(f64::from(fine));
                let service = counts(on_service, f64::from(bad));
                let monolith = counts(on_monolith, f64::from(fine));
                let increment = two_sides(&service, &monolith, ratio, towards).unwrap();
                for (mean, ratio) in mean.iter_mut().zip(increment.log_ratios) {
                    *mean += likely * ratio.exp();
                }
            }
            assert!(
                mean.iter().all(|mean| (mean - 1.0).abs() < 1e-9),
                "{mean:?}"
            );
        }
    }

    #[test]
    fn against_a_limit_they_are_as_well() {
        let (requests, limit) = (6_u32, 0.2_f64);
        for towards in [Towards::Worse, Towards::Better] {
            let mut mean = [0.0; ALTERNATIVES];
            for bad in 0..=requests {
                let likely = choose(requests, bad)
                    * limit.powf(f64::from(bad))
                    * (1.0 - limit).powf(f64::from(requests - bad));
                let service = counts(f64::from(requests), f64::from(bad));
                let increment = one_side(&service, &counts(0.0, 0.0), limit, towards).unwrap();
                for (mean, ratio) in mean.iter_mut().zip(increment.log_ratios) {
                    *mean += likely * ratio.exp();
                }
            }
            assert!(
                mean.iter().all(|mean| (mean - 1.0).abs() < 1e-9),
                "{mean:?}"
            );
        }
    }

    #[test]
    fn parts_sum_to_the_score() {
        let (service, monolith) = (counts(30.0, 5.0), counts(70.0, 3.0));
        let increment = two_sides(&service, &monolith, 1.0, Towards::Worse).unwrap();
        assert!((increment.parts.score() - (5.0 - 8.0 * 0.3)).abs() < 1e-9);
    }

    #[test]
    fn a_side_without_requests_says_nothing() {
        let (some, none) = (counts(30.0, 5.0), counts(0.0, 0.0));
        assert!(two_sides(&some, &none, 1.0, Towards::Worse).is_none());
        assert!(two_sides(&none, &some, 1.0, Towards::Worse).is_none());
        assert!(one_side(&none, &some, 0.1, Towards::Worse).is_none());
    }
}

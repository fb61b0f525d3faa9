//! What one block says for and against the service.

use crate::{
    baseline::float,
    block::{Block, CELLS, Cell, Side},
    evidence::{Counted, Evidence, Increment, Towards},
    histogram::{Cut, Spread},
    proportion::{Counts, one_side, two_sides},
    rank::ranks,
    verdict::{TestName, Totals},
};
use serde::{Deserialize, Serialize};

/// A service that fails less often than this neither fails for being worse than
/// the monolith, nor has to be compared with it: one of 10,000.
pub(crate) const NEGLIGIBLE: f64 = 0.0001;

/// How many times the monolith's share is much above it.
const MUCH: f64 = 2.0;

/// How many of the monolith's times it takes to say where slow begins, for each
/// that is slow.
const TIMES_PER_SLOW: f64 = 10.0;
/// What a block's times weigh when the next one comes: about 200 blocks count.
const FADE: f64 = 0.995;

/// What is compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Measure {
    /// Errors against a limit; `accepted` is what may be seen when it passes.
    ErrorShare {
        most: f64,
        harmful: f64,
        accepted: f64,
    },
    /// Errors against the monolith's.
    ErrorRatio { allowed: f64, harmful: f64 },
    /// How many are slower than a limit, of which `slow` may be.
    SlowShare {
        slow: f64,
        most: Cut,
        harmful: Cut,
        accepted: Cut,
        seen: SlowSeen,
    },
    /// How many are slower than a quantile of the monolith's, on both sides.
    SlowRatio {
        quantile: f64,
        allowed: f64,
        harmful: f64,
        recent: Spread,
    },
    /// All times by rank.
    Ranks { allowed: f64, harmful: f64 },
}

/// What was slower than what may be seen.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct SlowSeen {
    slower: f64,
    all: f64,
}

/// What a block adds to each hypothesis.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    /// Against "not worse than allowed".
    pub(crate) fail: Increment,
    /// Against "harmful".
    pub(crate) pass: Increment,
    /// Against "not negligible".
    pub(crate) negligible: Option<Increment>,
}

impl Measure {
    pub(crate) fn slow_share(slow: f64, most: Cut, harmful: Cut, accepted: Cut) -> Self {
        Self::SlowShare {
            slow,
            most,
            harmful,
            accepted,
            seen: SlowSeen::default(),
        }
    }

    pub(crate) fn slow_ratio(quantile: f64, allowed: f64, harmful: f64) -> Self {
        Self::SlowRatio {
            quantile,
            allowed,
            harmful,
            recent: Spread::default(),
        }
    }

    pub(crate) fn test(&self) -> TestName {
        match self {
            Self::ErrorShare { .. } | Self::SlowShare { .. } => TestName::OneProportion,
            Self::ErrorRatio { .. } | Self::SlowRatio { .. } => TestName::TwoProportions,
            Self::Ranks { .. } => TestName::MannWhitney,
        }
    }

    pub(crate) fn compares(&self) -> bool {
        self.test() != TestName::OneProportion
    }

    /// None of a block that says nothing: a side that is needed had no traffic.
    pub(crate) fn read(&mut self, block: &Block) -> Option<Measured> {
        let (service, monolith) = (&block.service, &block.monolith);
        match self {
            Self::ErrorShare { most, harmful, .. } => {
                let (own, other) = (errors(service), errors(monolith));
                Some(Measured {
                    fail: one_side(&own, &other, *most, Towards::Worse)?,
                    pass: one_side(&own, &other, *harmful, Towards::Better)?,
                    negligible: None,
                })
            }
            Self::ErrorRatio { allowed, harmful } => {
                let (own, other) = (errors(service), errors(monolith));
                Some(Measured {
                    fail: two_sides(&own, &other, *allowed, Towards::Worse)?,
                    pass: two_sides(&own, &other, *harmful, Towards::Better)?,
                    negligible: one_side(&own, &other, NEGLIGIBLE, Towards::Better),
                })
            }
            Self::SlowShare {
                slow,
                most,
                harmful,
                accepted,
                seen,
            } => {
                let above = slower(service, *accepted);
                seen.slower += above.all_events();
                seen.all += above.all_requests();
                let sides = |cut| (slower(service, cut), slower(monolith, cut));
                let (own, other) = sides(*most);
                let fail = one_side(&own, &other, *slow, Towards::Worse)?;
                let (own, other) = sides(*harmful);
                Some(Measured {
                    fail,
                    pass: one_side(&own, &other, *slow, Towards::Better)?,
                    negligible: None,
                })
            }
            Self::SlowRatio {
                quantile,
                allowed,
                harmful,
                recent,
            } => {
                // By earlier blocks only, so that this one does not choose what
                // it is measured by.
                let known = recent.total() * (1.0 - *quantile) >= TIMES_PER_SLOW;
                let cut = recent.quantile(*quantile).filter(|_| known);
                recent.fade(FADE);
                for cell in monolith.cells() {
                    recent.add(&cell.times);
                }
                let cut = cut?;
                let of_monolith = slower(monolith, cut);
                let of_service = |factor: f64| slower(service, cut.raised(factor));
                let (allowed, harmful) = (of_service(*allowed), of_service(*harmful));
                Some(Measured {
                    fail: two_sides(&allowed, &of_monolith, 1.0, Towards::Worse)?,
                    pass: two_sides(&harmful, &of_monolith, 1.0, Towards::Better)?,
                    negligible: None,
                })
            }
            Self::Ranks { allowed, harmful } => Some(Measured {
                fail: ranks(service, monolith, *allowed, Towards::Worse)?,
                pass: ranks(service, monolith, *harmful, Towards::Better)?,
                negligible: None,
            }),
        }
    }

    /// Whether an alarm of this evidence is about the service. A limit that the
    /// monolith is above as well is not, unless the service is much further: both
    /// feel something, and going back to the monolith would not help.
    pub(crate) fn concerns_service(&self, evidence: &Evidence) -> bool {
        let Counted {
            service, monolith, ..
        } = *evidence.counted();
        let share = |of: Totals| of.events / float(of.requests.max(1));
        let (own, other) = (share(service), share(monolith));
        match self {
            Self::ErrorRatio { .. } => own > NEGLIGIBLE,
            Self::ErrorShare { most, .. } => other <= *most || own > MUCH * other,
            Self::SlowShare { slow, .. } => other <= *slow || own > MUCH * other,
            Self::SlowRatio { .. } | Self::Ranks { .. } => true,
        }
    }

    /// By how much the service seems worse, and what it may seem.
    pub(crate) fn estimate(&self, counted: &Counted) -> (Option<f64>, f64) {
        let Counted {
            numerator,
            denominator,
            ..
        } = *counted;
        let ratio = (denominator > 0.0).then(|| numerator / denominator);
        match self {
            Self::ErrorShare { accepted, .. } => (ratio, *accepted),
            Self::ErrorRatio { allowed, .. } => (ratio, *allowed),
            Self::SlowShare { slow, seen, .. } => {
                ((seen.all > 0.0).then(|| seen.slower / seen.all), *slow)
            }
            Self::SlowRatio { .. } => (ratio, 1.0),
            Self::Ranks { .. } => (ratio.map(|effect| 0.5 + effect), 0.5),
        }
    }

    /// Whether what was seen may be seen when it passes.
    pub(crate) fn seems_fine(&self, counted: &Counted) -> bool {
        match self.estimate(counted) {
            (Some(estimate), most) => estimate <= most,
            // Something over nothing.
            (None, _) => counted.numerator <= 0.0,
        }
    }

    /// About how many requests of the service it takes, before any was seen.
    pub(crate) fn usual_need(&self) -> f64 {
        let events = 10.0;
        match self {
            Self::ErrorShare { harmful, .. } => events / harmful,
            Self::ErrorRatio { .. } => events / NEGLIGIBLE,
            Self::SlowShare { slow, .. } => 10.0 * events / slow,
            Self::SlowRatio { quantile, .. } => 10.0 * events / (1.0 - quantile),
            Self::Ranks { .. } => 100.0 * events,
        }
    }
}

fn errors(side: &Side) -> Counts {
    counts(side, |cell| {
        (f64::from(cell.requests), f64::from(cell.errors))
    })
}

fn slower(side: &Side, cut: Cut) -> Counts {
    counts(side, |cell| {
        let all = cell.times.entries().map(|(_, times)| times).sum();
        (all, cut.slower(&cell.times))
    })
}

fn counts(side: &Side, of: impl Fn(&Cell) -> (f64, f64)) -> Counts {
    let mut counts = Counts {
        requests: [0.0; CELLS],
        events: [0.0; CELLS],
    };
    for (at, cell) in side.cells().iter().enumerate().take(CELLS) {
        (counts.requests[at], counts.events[at]) = of(cell);
    }
    counts
}

//! What is asked of the service, and the measures that answer it.

use crate::{
    baseline::{ErrorBaseline, bounds, float},
    evidence::Clients,
    histogram::{Cut, Histogram, Spread},
    measure::{Measure, NEGLIGIBLE},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// From here on an increase is harmful: passing means that it is not there.
/// Errors twice, times by a quarter; more where that much is allowed.
const HARMFUL_ERRORS: f64 = 2.0;
const HARMFUL_TIMES: f64 = 1.25;
/// By how much harmful must be above allowed.
const ABOVE_ALLOWED: f64 = 1.1;
/// How sure the bounds of a stored baseline are.
const DOUBT_OF_BASELINE: f64 = 0.001;

/// What is asked of the service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "condition", rename_all = "kebab-case")]
pub enum Condition {
    /// `error-rate: { max }`.
    ErrorsAtMost {
        /// A share: above 0, below 1.
        max: f64,
    },
    /// `error-rate: { versus-monolith }`.
    ErrorsVersusMonolith {
        /// By which share more errors are allowed: 0.1 for `+10%`.
        allowed: f64,
    },
    /// The same against what was stored before the first shift.
    ErrorsVersusBaseline {
        /// As above.
        allowed: f64,
        /// What was stored.
        baseline: ErrorBaseline,
    },
    /// `p95: { max }`.
    LatencyAtMost {
        /// 0.95.
        quantile: f64,
        /// The limit.
        max: Duration,
    },
    /// `p95: { versus-monolith }`: of all times by rank, and of that quantile.
    LatencyVersusMonolith {
        /// 0.95.
        quantile: f64,
        /// By which share slower is allowed.
        allowed: f64,
    },
    /// The same against what was stored before the first shift.
    LatencyVersusBaseline {
        /// 0.95.
        quantile: f64,
        /// As above.
        allowed: f64,
        /// What was stored.
        baseline: Histogram,
    },
}

/// More would be no limit, and its alternatives no numbers to calculate with.
const INCREASE_MAX: f64 = 10_000.0;

/// Why a condition cannot be judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// Of an error rate or a quantile.
    #[error("{0} must be above 0 % and below 100 %")]
    NoShare(&'static str),
    /// Of what is allowed.
    #[error("the allowed increase must be 0 % or more, and 1,000,000 % at most")]
    NoIncrease,
    /// Of a limit.
    #[error("the limit of a latency must be more than nothing")]
    NoLatency,
    /// Of a baseline, or one of which a quantile cannot be told.
    #[error("the stored baseline has too few requests: measure it for longer, or set a limit")]
    NoBaseline,
}

impl Condition {
    /// Whether the service's clients are compared with others.
    pub(crate) fn clients(&self) -> Clients {
        match self {
            Self::ErrorsAtMost { .. } | Self::LatencyAtMost { .. } => Clients::Given,
            Self::ErrorsVersusMonolith { .. }
            | Self::ErrorsVersusBaseline { .. }
            | Self::LatencyVersusMonolith { .. }
            | Self::LatencyVersusBaseline { .. } => Clients::Drawn,
        }
    }

    /// What answers it.
    pub(crate) fn measures(&self) -> Result<Vec<Measure>, ConditionError> {
        let measures = match self {
            Self::ErrorsAtMost { max } => {
                let most = share(*max, "a limit of errors")?;
                vec![Measure::ErrorShare {
                    most,
                    harmful: harmful_share(most * HARMFUL_ERRORS),
                    accepted: most,
                }]
            }
            Self::ErrorsVersusMonolith { allowed } => {
                let allowed = increase(*allowed)?;
                let harmful = harmful(HARMFUL_ERRORS, allowed);
                vec![Measure::ErrorRatio { allowed, harmful }]
            }
            Self::ErrorsVersusBaseline { allowed, baseline } => {
                let allowed = increase(*allowed)?;
                let harmful = harmful(HARMFUL_ERRORS, allowed);
                let (least, most) = baseline
                    .bounds(DOUBT_OF_BASELINE)
                    .ok_or(ConditionError::NoBaseline)?;
                let seen = float(baseline.errors) / float(baseline.requests);
                vec![Measure::ErrorShare {
                    most: harmful_share((most * allowed).max(NEGLIGIBLE)),
                    harmful: harmful_share((least * harmful).max(NEGLIGIBLE)),
                    accepted: (seen * allowed).max(NEGLIGIBLE),
                }]
            }
            Self::LatencyAtMost { quantile, max } => {
                let slow = 1.0 - share(*quantile, "a quantile")?;
                if max.is_zero() {
                    return Err(ConditionError::NoLatency);
                }
                let (most, harmful) = (Cut::at(*max), Cut::at(max.mul_f64(HARMFUL_TIMES)));
                vec![Measure::slow_share(slow, most, harmful, most)]
            }
            Self::LatencyVersusMonolith { quantile, allowed } => {
                let quantile = share(*quantile, "a quantile")?;
                let allowed = increase(*allowed)?;
                let harmful = harmful(HARMFUL_TIMES, allowed);
                vec![
                    Measure::slow_ratio(quantile, allowed, harmful),
                    Measure::Ranks { allowed, harmful },
                ]
            }
            Self::LatencyVersusBaseline {
                quantile,
                allowed,
                baseline,
            } => {
                let quantile = share(*quantile, "a quantile")?;
                let allowed = increase(*allowed)?;
                let harmful = harmful(HARMFUL_TIMES, allowed);
                let [least, seen, most] = quantiles(baseline, quantile)?;
                vec![Measure::slow_share(
                    1.0 - quantile,
                    most.raised(allowed),
                    least.raised(harmful),
                    seen.raised(allowed),
                )]
            }
        };
        Ok(measures)
    }
}

fn share(share: f64, of: &'static str) -> Result<f64, ConditionError> {
    if share > 0.0 && share < 1.0 {
        Ok(share)
    } else {
        Err(ConditionError::NoShare(of))
    }
}

/// As a factor.
fn increase(allowed: f64) -> Result<f64, ConditionError> {
    if (0.0..=INCREASE_MAX).contains(&allowed) {
        Ok(1.0 + allowed)
    } else {
        Err(ConditionError::NoIncrease)
    }
}

fn harmful(usual: f64, allowed: f64) -> f64 {
    usual.max(allowed * ABOVE_ALLOWED)
}

/// A share must stay below 1 to be a hypothesis.
fn harmful_share(share: f64) -> f64 {
    share.min(0.99)
}

/// The least that a quantile may have been, what it was seen to be, and the most.
fn quantiles(times: &Histogram, quantile: f64) -> Result<[Cut; 3], ConditionError> {
    let mut spread = Spread::default();
    spread.add(times);
    let slower = (1.0 - quantile) * spread.total();
    let bounds = bounds(slower, spread.total(), DOUBT_OF_BASELINE);
    let (least, most) = bounds.ok_or(ConditionError::NoBaseline)?;
    // Where fewer than one time would be above it, it may have been anything.
    if least * spread.total() < 1.0 {
        return Err(ConditionError::NoBaseline);
    }
    let cut = |slower: f64| spread.quantile(1.0 - slower);
    match (cut(most), cut(1.0 - quantile), cut(least)) {
        (Some(least), Some(seen), Some(most)) => Ok([least, seen, most]),
        _ => Err(ConditionError::NoBaseline),
    }
}

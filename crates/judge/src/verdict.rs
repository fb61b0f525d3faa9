//! What was decided, with all that it was decided by.

use crate::reading::{Missing, Moment};
use serde::{Deserialize, Serialize};

/// What a gate says at this moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// Shown to be as it should: never only for lack of the contrary.
    Pass {
        /// Each test that was made.
        grounds: Vec<Grounds>,
    },
    /// Shown to be worse than allowed. It stays.
    Fail {
        /// Of the test that showed it, when it did.
        grounds: Grounds,
    },
    /// Neither is shown.
    NeedMore {
        /// Requests of the service until now; of a series: good readings.
        have: u64,
        /// About how many it takes, at the pace of those until now.
        need: u64,
        /// Each test that was made.
        grounds: Vec<Grounds>,
    },
    /// It cannot be said: nothing, or nothing usable, is being measured.
    Unknown {
        /// Why.
        why: Why,
    },
}

/// Why nothing can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Nothing has been measured yet.
    #[error("nothing has been measured yet")]
    NothingYet,
    /// The latest reading is none.
    #[error("{0}")]
    Missing(Missing),
    /// The service is asked nothing any more.
    #[error("the service has no traffic any more")]
    NoTraffic,
    /// The monolith has no requests to compare with.
    #[error("the monolith has no traffic to compare with")]
    NothingToCompareWith,
}

/// Which test was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestName {
    /// Shares of both sides against each other, conditional on their sum.
    TwoProportions,
    /// A share against a limit.
    OneProportion,
    /// Mann and Whitney's, by window, on binned times.
    MannWhitney,
    /// Readings against a limit, one by one.
    Readings,
}

/// What one test saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grounds {
    /// Which.
    pub test: TestName,
    /// Since when it counts.
    pub from: Option<Moment>,
    /// Until when.
    pub to: Option<Moment>,
    /// Of the service.
    pub service: Totals,
    /// Of the monolith, where it had any.
    pub monolith: Option<Totals>,
    /// What was found: a ratio of shares, a share, or how likely a request of
    /// the service is slower than one of the monolith, which the allowed
    /// increase has been added to; of a series the last value.
    pub estimate: Option<f64>,
    /// What `estimate` must not be above, or below for a series with a least.
    pub threshold: f64,
    /// Evidence for the verdict: the logarithm of an e-value; of a series,
    /// readings in a row.
    pub evidence: f64,
    /// What it takes.
    pub needed: f64,
    /// By how much the requests say less than so many independent ones.
    pub dispersion: f64,
}

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Requests; of a series, readings.
    pub requests: u64,
    /// Those that failed, or were slow; of a cut within a bin, its part.
    pub events: f64,
}

impl Totals {
    pub(crate) fn add(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.events += other.events;
    }
}

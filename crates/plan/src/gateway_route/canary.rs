//! A share of a route's clients that goes elsewhere.

use super::destination::Destination;
use crate::base::Percent;
use std::time::{Duration, SystemTime};

/// Who of a route's clients goes elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// How many.
    pub share: CanaryShare,
    /// What they are told apart by.
    pub by: CanaryKey,
    /// Where that is.
    pub to: Destination,
    /// The whole path there, whatever the request's is, where it is another.
    pub path: Option<String>,
    /// A header by which a client chooses: `always` or `never`.
    pub header: Option<String>,
}

/// How many go elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CanaryShare {
    /// So many.
    Fixed(Percent),
    /// None at `start`, all when the time is over, in equal steps.
    Rising {
        /// When it begins, in seconds since 1970.
        start: u64,
        /// How long it takes.
        duration: Duration,
        /// In how many steps.
        steps: u32,
    },
}

impl CanaryShare {
    /// The share at a moment.
    pub fn at(self, now: SystemTime) -> Percent {
        match self {
            Self::Fixed(share) => share,
            Self::Rising {
                start,
                duration,
                steps,
            } => {
                let begin = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(start));
                // Beyond what clocks show, it never begins.
                let since = begin.and_then(|begin| now.duration_since(begin).ok());
                let since = since.unwrap_or_default().as_millis();
                let whole = duration.as_millis().max(1);
                let steps = u128::from(steps.max(1));
                let done = (since.min(whole) * steps) / whole;
                let points = done * u128::from(Percent::STEPS) / steps;
                let points = u16::try_from(points).unwrap_or(Percent::STEPS);
                Percent::from_basis_points(points).unwrap_or(Percent::ALL)
            }
        }
    }
}

/// What clients are told apart by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CanaryKey {
    /// The consumer; without one, the address.
    Consumer,
    /// The address.
    Address,
    /// This header, lower case; without it, the address.
    Header(String),
    /// Nothing: every request anew.
    Random,
}

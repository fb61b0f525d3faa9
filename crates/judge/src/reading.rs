//! What was measured, or why it was not.
//!
//! Whatever a source answers becomes a [`Reading`] here, at the border: past it
//! there is no number that is not one, none that is endless, and no absence
//! that could be taken for a zero.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A moment, in milliseconds of Unix time. The caller has the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(u64);

impl Moment {
    /// By the milliseconds since 1970.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// How long after an earlier one it is; nothing where it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// A value, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading<T> {
    /// It was measured.
    Value(T),
    /// It was not. Never a pass, and never evidence against the service.
    Missing(Missing),
}

/// Why there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// Nobody has such a series: most often a wrong metric name.
    #[error("no such series: is the metric's name right?")]
    NoSeries,
    /// More series where one is wanted, and how many.
    #[error("{0} series where one is wanted: sum them, or select by a label")]
    SeveralSeries(usize),
    /// The series is there and empty.
    #[error("the series is empty")]
    NoSamples,
    /// As of nothing divided by nothing.
    #[error("the value is not a number")]
    NotANumber,
    /// In either direction.
    #[error("the value is infinite")]
    Infinite,
    /// Measured before the step began.
    #[error("the value is from before the step began")]
    BeforeStep,
    /// Older than it may be, or of a time that has been judged already.
    #[error("the value is old")]
    Stale,
    /// A counter went back: its process has started anew.
    #[error("the counter was reset")]
    CounterReset,
    /// Too much time lies between two samples.
    #[error("samples are missing in between")]
    Gap,
    /// The counts contradict each other: more errors than requests, an end
    /// before its beginning.
    #[error("the counts contradict each other")]
    Contradiction,
    /// The measurement itself failed.
    #[error("it could not be measured")]
    Failed,
}

/// A value at its moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When it was measured.
    pub at: Moment,
    /// Whatever the source says.
    pub value: f64,
}

/// What a sample must be like to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// When the step began: nothing from before it counts.
    pub began: Moment,
    /// Now.
    pub now: Moment,
    /// How old the last sample may be, and how far apart two of a counter.
    pub max_age: Duration,
}

impl Freshness {
    fn of(&self, at: Moment) -> Result<(), Missing> {
        if at < self.began {
            return Err(Missing::BeforeStep);
        }
        if self.now.since(at) > self.max_age {
            return Err(Missing::Stale);
        }
        Ok(())
    }
}

/// A number that is one; the others say why not.
pub fn number(value: f64) -> Reading<f64> {
    match finite(value) {
        Ok(value) => Reading::Value(value),
        Err(why) => Reading::Missing(why),
    }
}

fn finite(value: f64) -> Result<f64, Missing> {
    if value.is_nan() {
        Err(Missing::NotANumber)
    } else if value.is_infinite() {
        Err(Missing::Infinite)
    } else {
        Ok(value)
    }
}

/// The last value of the one series that a query is to answer with.
pub fn latest(series: &[Vec<Sample>], fresh: &Freshness) -> Reading<f64> {
    let last = match series {
        [] => Err(Missing::NoSeries),
        [one] => one.last().ok_or(Missing::NoSamples),
        several => Err(Missing::SeveralSeries(several.len())),
    };
    let value = last.and_then(|last| fresh.of(last.at).and_then(|()| finite(last.value)));
    value.map_or_else(Reading::Missing, Reading::Value)
}

/// What a counter gained between two samples.
pub fn increase(earlier: Sample, later: Sample, fresh: &Freshness) -> Reading<f64> {
    let gained = || {
        fresh.of(later.at)?;
        if earlier.at < fresh.began {
            return Err(Missing::BeforeStep);
        }
        if later.at <= earlier.at {
            return Err(Missing::Stale);
        }
        if later.at.since(earlier.at) > fresh.max_age {
            return Err(Missing::Gap);
        }
        let gained = finite(later.value)? - finite(earlier.value)?;
        if gained < 0.0 {
            return Err(Missing::CounterReset);
        }
        Ok(gained)
    };
    gained().map_or_else(Reading::Missing, Reading::Value)
}

/// By which share the service is above the monolith: 0.1 for a tenth. Nothing on
/// both sides is no difference; something over nothing is the largest there is.
pub fn relative_increase(service: Reading<f64>, monolith: Reading<f64>) -> Reading<f64> {
    let relative = |service: Reading<f64>, monolith: Reading<f64>| {
        let (service, monolith) = match (service, monolith) {
            (Reading::Value(service), Reading::Value(monolith)) => (service, monolith),
            (Reading::Missing(why), _) | (_, Reading::Missing(why)) => return Err(why),
        };
        let more = finite(service)? - finite(monolith)?;
        Ok(if more == 0.0 {
            0.0
        } else {
            (more / monolith.abs()).clamp(f64::MIN, f64::MAX)
        })
    };
    relative(service, monolith).map_or_else(Reading::Missing, Reading::Value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Freshness = Freshness {
        began: Moment::from_millis(60_000),
        now: Moment::from_millis(120_000),
        max_age: Duration::from_secs(30),
    };

    fn sample(second: u64, value: f64) -> Sample {
        Sample {
            at: Moment::from_millis(second * 1000),
            value,
        }
    }

    fn missing(why: Missing) -> Reading<f64> {
        Reading::Missing(why)
    }

    #[test]
    fn of_a_query_only_a_fresh_number_of_one_series_is_a_value() {
        let one = |value| latest(&[vec![sample(100, 7.0), sample(115, value)]], &FRESH);
        assert_eq!(one(0.5), Reading::Value(0.5));
        assert_eq!(one(f64::NAN), missing(Missing::NotANumber));
        assert_eq!(one(f64::INFINITY), missing(Missing::Infinite));
        assert_eq!(one(f64::NEG_INFINITY), missing(Missing::Infinite));
    }

    #[test]
    fn a_wrong_metric_name_is_an_absent_series() {
        assert_eq!(latest(&[], &FRESH), missing(Missing::NoSeries));
    }

    #[test]
    fn an_empty_array_is_missing() {
        assert_eq!(latest(&[vec![]], &FRESH), missing(Missing::NoSamples));
    }

    #[test]
    fn two_series_are_missing() {
        let two = [vec![sample(115, 0.0)], vec![sample(115, 0.0)]];
        assert_eq!(latest(&two, &FRESH), missing(Missing::SeveralSeries(2)));
    }

    #[test]
    fn a_value_from_before_the_step_is_missing() {
        let early = [vec![sample(59, 0.0)]];
        assert_eq!(latest(&early, &FRESH), missing(Missing::BeforeStep));
        let old = [vec![sample(80, 0.0)]];
        assert_eq!(latest(&old, &FRESH), missing(Missing::Stale));
    }

    #[test]
    fn of_a_counter_resets_and_gaps_are_missing() {
        let gained = |earlier, later| increase(earlier, later, &FRESH);
        assert_eq!(
            gained(sample(100, 5.0), sample(110, 8.0)),
            Reading::Value(3.0)
        );
        let reset = gained(sample(100, 5.0), sample(110, 2.0));
        assert_eq!(reset, missing(Missing::CounterReset));
        let gap = gained(sample(80, 5.0), sample(119, 8.0));
        assert_eq!(gap, missing(Missing::Gap));
        let before = gained(sample(50, 5.0), sample(100, 8.0));
        assert_eq!(before, missing(Missing::BeforeStep));
        let same = gained(sample(110, 5.0), sample(110, 5.0));
        assert_eq!(same, missing(Missing::Stale));
    }

    #[test]
    fn nothing_on_both_sides_is_no_difference_and_something_over_nothing_is() {
        let more = |service, monolith| relative_increase(number(service), number(monolith));
        assert_eq!(more(0.0, 0.0), Reading::Value(0.0));
        assert_eq!(more(1.0, 0.0), Reading::Value(f64::MAX));
        assert_eq!(more(0.0, 2.0), Reading::Value(-1.0));
        assert_eq!(more(3.0, 2.0), Reading::Value(0.5));
        assert_eq!(more(1.0, f64::NAN), missing(Missing::NotANumber));
    }
}

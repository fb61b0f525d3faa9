//! A gate on the readings of any series: lag, saturation, a query.
//!
//! One value at a time against a limit. It knows nothing of chance: who asks for
//! it says by `failure_limit` how many bad readings in a row may be chance.

use crate::{
    reading::{Missing, Moment, Reading},
    verdict::{Grounds, TestName, Totals, Verdict, Why},
};
use serde::{Deserialize, Serialize};

/// What a reading must be. A limit that is not a number lets none pass.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// Not above it.
    AtMost(f64),
    /// Not below it.
    AtLeast(f64),
}

impl Limit {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }

    fn value(self) -> f64 {
        match self {
            Self::AtMost(limit) | Self::AtLeast(limit) => limit,
        }
    }
}

/// Judges readings, one by one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeriesJudge {
    limit: Limit,
    failure_limit: u32,
    needed: u32,
    readings: u64,
    bad: u64,
    state: State,
    bad_in_a_row: u32,
    good_in_a_row: u32,
    first: Option<Moment>,
    last: Option<(Moment, f64)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    NothingYet,
    Measured,
    Missing(Missing),
    Failed(Grounds),
}

impl SeriesJudge {
    /// More bad readings in a row than `failure_limit` fail; `needed` good ones
    /// in a row pass, at least one.
    pub fn new(limit: Limit, failure_limit: u32, needed: u32) -> Self {
        Self {
            limit,
            failure_limit,
            needed: needed.max(1),
            readings: 0,
            bad: 0,
            state: State::NothingYet,
            bad_in_a_row: 0,
            good_in_a_row: 0,
            first: None,
            last: None,
        }
    }

    /// Takes the next reading. A missing one neither adds to a row nor ends it.
    pub fn observe(&mut self, at: Moment, reading: &Reading<f64>) {
        if matches!(self.state, State::Failed(_)) {
            return;
        }
        // Who made the reading may not have asked `reading::number`.
        let value = match *reading {
            Reading::Missing(why) => Err(why),
            Reading::Value(value) if value.is_nan() => Err(Missing::NotANumber),
            Reading::Value(value) if value.is_infinite() => Err(Missing::Infinite),
            Reading::Value(_) if self.last.is_some_and(|(last, _)| at <= last) => {
                Err(Missing::Stale)
            }
            Reading::Value(value) => Ok(value),
        };
        let value = match value {
            Ok(value) => value,
            Err(why) => {
                self.state = State::Missing(why);
                return;
            }
        };
        self.readings += 1;
        self.first.get_or_insert(at);
        self.last = Some((at, value));
        self.state = State::Measured;
        if self.limit.holds(value) {
            self.good_in_a_row = self.good_in_a_row.saturating_add(1);
            self.bad_in_a_row = 0;
            return;
        }
        self.bad += 1;
        self.bad_in_a_row += 1;
        self.good_in_a_row = 0;
        if self.bad_in_a_row > self.failure_limit {
            let needed = f64::from(self.failure_limit) + 1.0;
            self.state = State::Failed(self.grounds(self.bad_in_a_row, needed));
        }
    }

    /// What is to be said of those until now.
    pub fn verdict(&self) -> Verdict {
        let why = match &self.state {
            State::Failed(grounds) => {
                let grounds = grounds.clone();
                return Verdict::Fail { grounds };
            }
            State::NothingYet => Why::NothingYet,
            State::Missing(why) => Why::Missing(*why),
            State::Measured => {
                let grounds = vec![self.grounds(self.good_in_a_row, f64::from(self.needed))];
                return if self.good_in_a_row >= self.needed {
                    Verdict::Pass { grounds }
                } else {
                    Verdict::NeedMore {
                        have: u64::from(self.good_in_a_row),
                        need: u64::from(self.needed),
                        grounds,
                    }
                };
            }
        };
        Verdict::Unknown { why }
    }

    fn grounds(&self, in_a_row: u32, needed: f64) -> Grounds {
        #[expect(clippy::cast_precision_loss, reason = "readings, one in seconds")]
        let events = self.bad as f64;
        Grounds {
            test: TestName::Readings,
            from: self.first,
            to: self.last.map(|(at, _)| at),
            service: Totals {
                requests: self.readings,
                events,
            },
            monolith: None,
            estimate: self.last.map(|(_, value)| value),
            threshold: self.limit.value(),
            evidence: f64::from(in_a_row),
            needed,
            dispersion: 1.0,
        }
    }
}

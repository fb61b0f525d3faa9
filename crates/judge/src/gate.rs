//! A gate on what the gateway counts of both sides.

use crate::{
    block::Block,
    comparison::{Comparison, Conclusion},
    condition::{Condition, ConditionError},
    flow::Flow,
    reading::{Missing, Moment, Reading},
    verdict::{Grounds, Verdict, Why},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How probable a wrong verdict may be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Confidence {
    /// That a gate fails in the 24 hours of a step in which nothing is wrong.
    pub false_alarm: f64,
    /// That a test ever passes a service that is harmful.
    pub false_pass: f64,
}

impl Default for Confidence {
    /// A quarter of a percent, so that four gates stay below one; one percent.
    fn default() -> Self {
        Self {
            false_alarm: 0.0025,
            false_pass: 0.01,
        }
    }
}

/// Judges the service by one condition over one step, block by block.
///
/// Its state is of a fixed size and can be stored between two blocks: what goes
/// on from it is the same as if it had never stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judge {
    began: Moment,
    comparisons: Vec<Comparison>,
    flow: Flow,
    latest: Latest,
    last_end: Option<Moment>,
}

/// What the latest reading was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Latest {
    NothingYet,
    Counted,
    Missing(Missing),
    /// A failure was shown. It stays.
    Failed(Grounds),
}

impl Judge {
    /// Of a step that began then. `block`: how long blocks will be; the shorter,
    /// the sooner a failure of everything is told from a hiccup (20 to 30 blocks).
    pub fn new(
        condition: &Condition,
        began: Moment,
        block: Duration,
        confidence: Confidence,
    ) -> Result<Self, ConditionError> {
        let measures = condition.measures()?;
        let tests = u32::try_from(measures.len()).unwrap_or(u32::MAX);
        let false_alarm = confidence.false_alarm / f64::from(tests);
        let block = block.max(Duration::from_millis(1));
        let comparisons = measures.into_iter().map(|measure| {
            let false_pass = confidence.false_pass;
            Comparison::new(measure, condition.clients(), block, false_alarm, false_pass)
        });
        Ok(Self {
            began,
            comparisons: comparisons.collect(),
            flow: Flow::default(),
            latest: Latest::NothingYet,
            last_end: None,
        })
    }

    /// Takes the next block. One that began before the step, or before the end
    /// of the last one, is not counted.
    pub fn observe(&mut self, reading: &Reading<Block>) {
        if matches!(self.latest, Latest::Failed(_)) {
            return;
        }
        let block = match reading {
            Reading::Missing(why) => Err(*why),
            Reading::Value(block) => self.usable(block).map(|()| block),
        };
        let block = match block {
            Ok(block) => block,
            Err(why) => {
                self.latest = Latest::Missing(why);
                return;
            }
        };
        self.last_end = Some(block.ended);
        self.latest = Latest::Counted;
        self.flow.add(block);
        for comparison in &mut self.comparisons {
            comparison.add(block);
        }
        if let Some(grounds) = self.comparisons.iter().find_map(Comparison::alarm) {
            self.latest = Latest::Failed(grounds);
        }
    }

    fn usable(&self, block: &Block) -> Result<(), Missing> {
        block.check()?;
        if block.began < self.began {
            return Err(Missing::BeforeStep);
        }
        if self.last_end.is_some_and(|end| block.began < end) {
            return Err(Missing::Stale);
        }
        Ok(())
    }

    /// What is to be said of the blocks until now.
    pub fn verdict(&self) -> Verdict {
        let compares = self
            .comparisons
            .iter()
            .any(|test| test.measure().compares());
        let why = match &self.latest {
            Latest::Failed(grounds) => {
                let grounds = grounds.clone();
                return Verdict::Fail { grounds };
            }
            Latest::NothingYet => Some(Why::NothingYet),
            Latest::Missing(why) => Some(Why::Missing(*why)),
            Latest::Counted if self.flow.service_is_silent() => Some(Why::NoTraffic),
            Latest::Counted if compares && self.flow.monolith_is_silent() => {
                Some(Why::NothingToCompareWith)
            }
            Latest::Counted => None,
        };
        if let Some(why) = why {
            return Verdict::Unknown { why };
        }
        let conclusions: Vec<Conclusion> = self
            .comparisons
            .iter()
            .map(Comparison::conclusion)
            .collect();
        let need = conclusions
            .iter()
            .filter_map(|conclusion| conclusion.need)
            .max();
        let grounds = conclusions.into_iter().map(|conclusion| conclusion.grounds);
        let grounds = grounds.collect();
        match need {
            None => Verdict::Pass { grounds },
            Some(need) => {
                let have = self.flow.requests();
                Verdict::NeedMore {
                    have,
                    need: need.max(have + 1),
                    grounds,
                }
            }
        }
    }
}

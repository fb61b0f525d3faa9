//! How an extraction stood when somebody decided to order something.
//!
//! Between the look and the order a colleague, or the plan's steps, may have changed it: a
//! `switch` from a page of yesterday would undo the rollback of this morning. The loop
//! that takes the order compares, so that nothing comes in between.

use crate::status::{ExtractionStatus, RolloutStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Shares that differ by less are the same: the plan has them in hundredths of a percent.
const PERCENT_MARGIN: f64 = 0.005;

/// How an extraction stood, as its status had it. What it leaves out is not compared.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Precondition {
    /// Where in its life it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Which of its lives that was: in another one, all else may be the same again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The last hand-over, or the last decision on shares where both sides share the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// The share of clients whose reads were to go to the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads_percent: Option<f64>,
    /// Where it was in the steps of its plan: for `pause`, `approve` and `resume`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<StepsMoment>,
}

/// Where a rollout was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepsMoment {
    /// `idle`, `running`, `stopped` or `done`.
    pub state: String,
    /// The step, from 1.
    #[serde(default)]
    pub step: Option<usize>,
    /// How many decisions it had taken.
    pub decisions: u64,
    /// What somebody was to approve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
}

impl Precondition {
    /// Bound to all that the status says.
    pub fn of(one: &ExtractionStatus) -> Self {
        Self {
            phase: Some(one.phase.clone()),
            instance: one.instance.clone(),
            epoch: Some(one.epoch),
            reads_percent: Some(one.wanted_reads()),
            steps: one.rollout.as_ref().map(StepsMoment::of),
        }
    }

    /// Why what was decided on then does not fit as it stands now. Where the status has no
    /// steps, they are not compared.
    pub fn refusal(&self, now: &ExtractionStatus) -> Option<String> {
        let rollout = now.rollout.as_ref();
        let mut changes = rollout.map_or_else(Vec::new, |rollout| self.step_changes(rollout));
        changes.extend(self.changes(now));
        (!changes.is_empty()).then(|| refusal(&changes))
    }

    /// Whether it was made where the steps had stopped.
    pub(crate) fn had_stopped(&self) -> bool {
        let steps = self.steps.as_ref();
        steps.is_some_and(|steps| steps.state == "stopped")
    }

    /// What is not any more as it was, of the extraction itself.
    fn changes(&self, now: &ExtractionStatus) -> Vec<String> {
        let mut changes = Vec::new();
        if let Some(phase) = self.phase.as_ref().filter(|phase| **phase != now.phase) {
            changes.push(format!("it was `{phase}` and is `{}`", now.phase));
        }
        if self.instance.is_some() && self.instance != now.instance {
            changes.push("it was cancelled since".to_owned());
        }
        if let Some(epoch) = self.epoch.filter(|epoch| *epoch != now.epoch) {
            changes.push(format!("its epoch was {epoch} and is {}", now.epoch));
        }
        let is = now.wanted_reads();
        let differs = |was: &f64| (was - is).abs() > PERCENT_MARGIN;
        if let Some(was) = self.reads_percent.filter(differs) {
            changes.push(format!(
                "{was} % of the readers were at the service and {is} % are"
            ));
        }
        changes
    }

    /// What is not any more as it was, of the steps of its plan.
    fn step_changes(&self, now: &RolloutStatus) -> Vec<String> {
        let now = StepsMoment::of(now);
        match &self.steps {
            Some(was) if *was != now => {
                let has_decided = was.decisions != now.decisions;
                let (was, is) = (was.words(), now.words());
                vec![if was == is && !has_decided {
                    format!("its steps are {is} still, and want another approval")
                } else if was == is {
                    format!("its steps are {is} still, and have decided something since")
                } else {
                    format!("its steps were {was} and are {is}")
                }]
            }
            _ => Vec::new(),
        }
    }
}

impl StepsMoment {
    fn of(rollout: &RolloutStatus) -> Self {
        Self {
            state: rollout.state.clone(),
            step: rollout.step,
            decisions: rollout.decisions,
            approval: rollout.to_approve().map(str::to_owned),
        }
    }

    fn words(&self) -> String {
        match self.step {
            Some(step) => format!("{} in step {step}", self.state),
            None => self.state.clone(),
        }
    }
}

/// Why what is bound to another state is not done.
fn refusal(changes: &[String]) -> String {
    format!(
        "it has changed since this was decided on: {}. Nothing was done. Look how it is now, and \
         order it again if that still fits",
        changes.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::NextVerb;

    fn status() -> ExtractionStatus {
        ExtractionStatus {
            phase: "following".to_owned(),
            instance: Some("first".to_owned()),
            epoch: 4,
            reads_percent: 12.5,
            rollout: Some(RolloutStatus {
                state: "running".to_owned(),
                step: Some(2),
                decisions: 7,
                ..RolloutStatus::default()
            }),
            ..ExtractionStatus::default()
        }
    }

    #[test]
    fn what_has_changed_is_named() {
        let was = Precondition::of(&status());
        assert!(was.changes(&status()).is_empty());
        for (now, wanted) in [
            (
                ExtractionStatus {
                    phase: "switched".to_owned(),
                    epoch: 5,
                    ..status()
                },
                "it was `following` and is `switched`; its epoch was 4 and is 5",
            ),
            (
                ExtractionStatus {
                    reads_percent: 0.0,
                    ..status()
                },
                "12.5 % of the readers were at the service and 0 % are",
            ),
            (
                ExtractionStatus {
                    instance: Some("second".to_owned()),
                    ..status()
                },
                "it was cancelled since",
            ),
        ] {
            assert_eq!(was.changes(&now).join("; "), wanted);
        }
        let withdrawn_by_its_stream = ExtractionStatus {
            reads_percent: 0.0,
            reads_wanted_percent: Some(12.5),
            ..status()
        };
        assert!(was.changes(&withdrawn_by_its_stream).is_empty());
        assert!(Precondition::default().changes(&status()).is_empty());
    }

    #[test]
    fn steps_are_the_same_until_they_decide_something() {
        let was = Precondition::of(&status());
        let at = |state: &str, step, decisions| RolloutStatus {
            state: state.to_owned(),
            step,
            decisions,
            ..RolloutStatus::default()
        };
        let changes = |now| was.step_changes(&now).join("; ");
        assert_eq!(changes(at("running", Some(2), 7)), "");
        assert_eq!(
            changes(at("stopped", Some(3), 9)),
            "its steps were running in step 2 and are stopped in step 3"
        );
        assert!(changes(at("running", Some(2), 8)).contains("decided something"));
        // By a plan that another start has read.
        let asked = RolloutStatus {
            asks: Some(NextVerb::Approve {
                step: 2,
                of: Some("the owner's word".to_owned()),
            }),
            ..at("running", Some(2), 7)
        };
        assert!(changes(asked).contains("want another approval"));
    }

    #[test]
    fn the_steps_count_as_well_as_the_extraction() {
        let was = Precondition::of(&status());
        assert_eq!(was.refusal(&status()), None);
        let mut now = status();
        if let Some(rollout) = &mut now.rollout {
            rollout.decisions += 1;
        }
        assert!(was.refusal(&now).unwrap().contains("decided something"));
        let switched = ExtractionStatus {
            phase: "switched".to_owned(),
            ..status()
        };
        assert!(was.refusal(&switched).unwrap().contains("is `switched`"));
    }

    /// A form carries it as it was, and a share is a number with a fraction.
    #[test]
    fn it_is_the_same_after_its_json() {
        let was = Precondition::of(&status());
        let text = serde_json::to_string(&was).unwrap();
        assert_eq!(serde_json::from_str::<Precondition>(&text).unwrap(), was);
    }
}

//! What happens to a rollout. Persisted: never edited; a changed meaning is a new variant.

use super::{
    actor::Actor,
    moment::UnixMillis,
    stop::{StopReason, Undo},
};
use serde::{Deserialize, Serialize};

/// What has happened to a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum Event {
    /// It began.
    #[serde(rename = "rollout-began")]
    Began {
        /// The steps as the plan had them, in words.
        steps: Vec<String>,
        /// A digest of the plan's text.
        plan: String,
    },
    /// From here on it goes by a plan with another text; its steps may be the same.
    #[serde(rename = "rollout-plan-read")]
    PlanRead {
        /// A digest of that text.
        plan: String,
    },
    /// From here on it goes by other steps: a reload brought them where that was safe.
    #[serde(rename = "rollout-steps-changed")]
    StepsChanged {
        /// The first that is another one than it was, from 0.
        first: usize,
        /// The steps as the plan has them now.
        steps: Vec<String>,
        /// A digest of its text.
        plan: String,
    },
    /// All is so that a step waits for before it begins: what it wants is asked for. Written
    /// before that, and again where it was refused for long.
    #[serde(rename = "step-permitted")]
    Permitted {
        /// Its place, from 0.
        step: usize,
        /// When that was found.
        at: UnixMillis,
        /// What the gates found, each with the numbers that it went by.
        evidence: Vec<serde_json::Value>,
        /// A digest of the plan's text.
        plan: String,
    },
    /// What a step wants is so.
    #[serde(rename = "step-entered")]
    Entered {
        /// Its place, from 0.
        step: usize,
        /// Since when.
        at: UnixMillis,
    },
    /// A step's time is over, and its gates have passed.
    #[serde(rename = "step-passed")]
    Passed {
        /// Its place, from 0.
        step: usize,
        /// What its gates found, each with the numbers that it went by.
        evidence: Vec<serde_json::Value>,
    },
    /// All steps are behind it.
    #[serde(rename = "rollout-ended")]
    Ended,
    /// It stopped.
    #[serde(rename = "rollout-stopped")]
    Stopped {
        /// Why.
        why: StopReason,
        /// What takes the step back, where that is due.
        undo: Option<Undo>,
    },
    /// What the gates found when they stopped it: directly before [`Event::Stopped`].
    #[serde(rename = "rollout-evidence")]
    Evidence {
        /// Each with the numbers that it went by.
        evidence: Vec<serde_json::Value>,
    },
    /// The step was taken back.
    #[serde(rename = "step-undone")]
    Undone {
        /// How.
        undo: Undo,
    },
    /// A person has it go on.
    #[serde(rename = "rollout-resumed")]
    Resumed {
        /// With which step.
        step: usize,
        /// Who.
        by: Actor,
        /// The steps as the plan has them now.
        steps: Vec<String>,
    },
    /// A person has approved the step that comes.
    #[serde(rename = "step-approved")]
    Approved {
        /// Its place, from 0.
        step: usize,
        /// Who.
        by: Actor,
        /// In that person's words.
        note: String,
    },
    /// What was approved may not be what comes: the plan is another one since a restart,
    /// before which a step is known by its words alone.
    #[serde(rename = "step-approval-lapsed")]
    ApprovalLapsed {
        /// Its place, from 0.
        step: usize,
    },
    /// The extraction has ended: its next life begins with the first step.
    #[serde(rename = "rollout-forgotten")]
    Forgotten,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Never edited: what these lines say was written by some release.
    const GOLDEN: &str = include_str!("../../tests/golden/rollout_events.jsonl");

    fn written() -> Vec<Event> {
        let ada = || Actor::Person("ada".to_owned());
        let steps = || vec!["reads 5% for 1d".to_owned(), "switch".to_owned()];
        let stopped = |why, undo| Event::Stopped { why, undo };
        let text = str::to_owned;
        let evidence = || vec![json!({ "gate": "requests", "have": 7, "need": 20 })];
        vec![
            Event::Began {
                steps: steps(),
                plan: text("digest"),
            },
            Event::PlanRead {
                plan: text("another"),
            },
            Event::StepsChanged {
                first: 1,
                steps: steps(),
                plan: text("another"),
            },
            Event::Permitted {
                step: 0,
                at: UnixMillis(1_700_000_000_000),
                evidence: evidence(),
                plan: text("another"),
            },
            Event::Entered {
                step: 0,
                at: UnixMillis(1_700_000_000_000),
            },
            Event::Passed {
                step: 0,
                evidence: evidence(),
            },
            Event::Ended,
            stopped(
                StopReason::Gate {
                    gate: text("error-rate"),
                    found: text("3% of 200"),
                },
                Some(Undo::Withdraw),
            ),
            stopped(
                StopReason::Person {
                    by: ada(),
                    note: text("lunch"),
                },
                None,
            ),
            stopped(
                StopReason::Changed {
                    what: text("taken back"),
                },
                None,
            ),
            stopped(
                StopReason::Failed {
                    what: text("aborted"),
                },
                Some(Undo::RollBack),
            ),
            stopped(
                StopReason::PlanChanged {
                    was: text("reads 5%"),
                    is: text("reads 7%"),
                },
                None,
            ),
            Event::Evidence {
                evidence: evidence(),
            },
            Event::Undone {
                undo: Undo::Withdraw,
            },
            Event::Undone {
                undo: Undo::RollBack,
            },
            Event::Resumed {
                step: 1,
                by: ada(),
                steps: steps(),
            },
            Event::Approved {
                step: 1,
                by: ada(),
                note: text("seen"),
            },
            Event::Approved {
                step: 1,
                by: Actor::KeyHolder(text("anna")),
                note: String::new(),
            },
            Event::Approved {
                step: 1,
                by: Actor::Plan,
                note: String::new(),
            },
            Event::ApprovalLapsed { step: 1 },
            Event::Forgotten,
        ]
    }

    #[test]
    fn journals_of_earlier_releases_are_read_as_they_were_written() {
        let read = |line| serde_json::from_str::<Event>(line).unwrap();
        let events: Vec<_> = GOLDEN.lines().map(read).collect();
        assert_eq!(events, written());
        let lines: Vec<_> = events
            .iter()
            .map(|event| serde_json::to_string(event).unwrap())
            .collect();
        assert_eq!(lines.join("\n"), GOLDEN.trim_end());
    }
}

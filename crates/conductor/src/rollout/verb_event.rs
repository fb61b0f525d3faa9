//! What a person's verb leads to, where the steps are.

use super::handle::{GivenVerb, StepVerb};
use plan::{ExtractionName, Schedule};
use protocol::rollout::{Event, Rollout, Standing, StopReason, stops_again};

/// The event of a verb that a person gives; the error says why there is none.
pub(super) fn event(
    given: &GivenVerb,
    rollout: &Rollout,
    name: &ExtractionName,
    (schedule, standing): (&Schedule, Standing),
) -> Result<Event, String> {
    let by = given.by.clone();
    match (&given.verb, rollout) {
        (StepVerb::Pause | StepVerb::Approve, Rollout::Done) => {
            Err(format!("all steps of `{name}` are done"))
        }
        (StepVerb::Pause, Rollout::Running(_)) => Ok(Event::Stopped {
            why: StopReason::Person {
                by,
                note: given.note.clone(),
            },
            undo: None,
        }),
        (StepVerb::Pause, Rollout::Stopped { .. }) => {
            Err(format!("`{name}` has stopped already: `banyan why {name}`"))
        }
        (StepVerb::Resume(step), Rollout::Idle | Rollout::Stopped { .. } | Rollout::Done) => {
            let count = schedule.steps.len();
            let own = rollout.position().map(|position| position.step + 1);
            let number = step.or(own).ok_or_else(|| {
                format!("`{name}` is in no step. `--step N` says with which one it goes on")
            })?;
            if !(1..=count).contains(&number) {
                return Err(format!("`{name}` has steps 1 to {count}"));
            }
            if let Some((why, fitting)) = stops_again(schedule, number - 1, standing) {
                let remedy = match fitting {
                    Some(fitting) => format!("`banyan resume {name} --step {fitting}` goes on"),
                    None => format!("No step fits that: see `banyan why {name}`"),
                };
                return Err(format!(
                    "with step {number} `{name}` would stop again at once: {why}. {remedy}"
                ));
            }
            Ok(Event::Resumed {
                step: number - 1,
                by,
                steps: schedule.steps.iter().map(ToString::to_string).collect(),
            })
        }
        (StepVerb::Resume(_), Rollout::Running(_)) => {
            Err(format!("`{name}` has not stopped: `banyan why {name}`"))
        }
        (StepVerb::Approve, Rollout::Running(position)) if position.entered.is_none() => {
            Ok(Event::Approved {
                step: position.step,
                by,
                note: given.note.clone(),
            })
        }
        (StepVerb::Approve | StepVerb::Pause, _) => Err(format!(
            "no step of `{name}` waits for that: `banyan why {name}`"
        )),
    }
}

//! Orders of persons for the steps of the plan.

use super::messages::Parameters;
use crate::{
    precondition::Precondition,
    request::Request,
    rollout::{RolloutHandle, StepVerb},
    status::{NextVerb, RolloutStatus},
    worker::Worker,
};
use plan::ExtractionName;
use protocol::rollout::Actor;

/// Longer notes are refused: they are kept for ever.
const TEXT_BYTES_MAX: usize = 500;

/// Nothing is approved, paused or resumed by nobody.
pub(super) const NOBODY: &str = "who orders it is missing: `--by NAME`, or BANYAN_USER";

/// What became of a call.
pub(super) enum Ordered {
    /// It is none for the steps, or for more than these.
    NoOrder,
    Done,
    Refused(String),
}

/// Carries out a verb that is for the steps of the plan.
pub(super) async fn order(
    rollout: Option<&RolloutHandle>,
    worker: &Worker,
    (name, verb): (&ExtractionName, &str),
    by: Option<Actor>,
    parameters: &Parameters,
) -> Ordered {
    let order = match verb {
        "pause" => StepVerb::Pause,
        "approve" => StepVerb::Approve,
        "resume" => StepVerb::Resume(parameters.step),
        _ => return Ordered::NoOrder,
    };
    let resumes = verb == "resume";
    let Some(rollout) = rollout else {
        if resumes && parameters.step.is_none() {
            return Ordered::NoOrder;
        }
        return Ordered::Refused(format!(
            "`{name}` has no steps in the plan (`rollout.steps`), so that each one is a person's \
             anyway"
        ));
    };
    let expected = parameters.expected.clone();
    let is_for_steps =
        parameters.step.is_some() || awaits_resume(&rollout.status(), expected.as_ref());
    if resumes && !is_for_steps {
        // Only what a stream waits for.
        return Ordered::NoOrder;
    }
    let Some(by) = by else {
        return Ordered::Refused(NOBODY.to_owned());
    };
    let note = match noted(parameters.note.as_deref().unwrap_or_default()) {
        Ok(note) => note,
        Err(why) => return Ordered::Refused(why),
    };
    match rollout.order_if(order, by, note, expected).await {
        Ok(()) if resumes => {
            // What waits to be tried again is tried as well; it says itself how that went.
            if let Err(error) = worker.request(Request::Resume).await {
                tracing::debug!(extraction = %name, %error, "nothing to try again");
            }
            Ordered::Done
        }
        Ok(()) => Ordered::Done,
        Err(why) => Ordered::Refused(why),
    }
}

/// Whether a resume is for the steps; else it is for streams alone.
fn awaits_resume(rollout: &RolloutStatus, expected: Option<&Precondition>) -> bool {
    rollout.state == "stopped"
        // Those that have not begun where it was shifted before: their loop wants the step.
        || matches!(rollout.asks, Some(NextVerb::Resume { .. }))
        // Where they had stopped when that was decided on, it says that they go on by now.
        || expected.is_some_and(Precondition::had_stopped)
}

/// A note of a length that can be kept.
pub(super) fn noted(note: &str) -> Result<&str, String> {
    if note.len() > TEXT_BYTES_MAX || note.chars().any(char::is_control) {
        return Err(format!(
            "a note is one line of at most {TEXT_BYTES_MAX} bytes"
        ));
    }
    Ok(note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resume_is_for_steps_that_wait_for_it() {
        let asks = Some(NextVerb::Resume { step: None });
        for (state, asks, wanted) in [
            ("stopped", asks.clone(), true),
            // What is to be taken back is, first.
            ("stopped", None, true),
            ("idle", asks, true),
            ("idle", None, false),
            ("running", None, false),
        ] {
            let rollout = RolloutStatus {
                state: state.to_owned(),
                asks,
                ..RolloutStatus::default()
            };
            assert_eq!(awaits_resume(&rollout, None), wanted, "{state}");
        }
    }
}

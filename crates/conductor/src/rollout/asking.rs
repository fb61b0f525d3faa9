//! What a rollout asks of its extraction: what a person would, with the same refusals.

use crate::{
    precondition::Precondition,
    request::{Request, RequestError, Shift, Waived},
    status::ExtractionStatus,
    worker::Worker,
};
use async_trait::async_trait;
use plan::ExtractionName;
use protocol::rollout::{Action, Rollout};
use std::sync::atomic::{AtomicBool, Ordering};

/// Says whether more may go to a service.
#[async_trait]
pub trait ShiftGuard: Send + Sync {
    /// Why nothing more is to go to an extraction's service, in words.
    async fn refusal(&self, extraction: &ExtractionName) -> Option<String>;
}

/// Why an action was not done, in words.
pub(super) enum NotDone {
    /// Something is in the way that may go by itself. Nobody noticed.
    Refused(String),
    /// A hand-over was begun and undone; requests were held for it.
    Aborted(String),
    /// Both sides differ: that does not go by itself, and to look again costs.
    Differs(String),
}

/// Whether a rollout ends by what was not done. What is to be taken back is not given up
/// for something that was asked before that.
pub(super) fn ends(rollout: &Rollout, action: Action) -> bool {
    match rollout {
        Rollout::Running(_) => true,
        Rollout::Stopped { .. } => action == Action::RollBack,
        Rollout::Idle | Rollout::Done => false,
    }
}

/// What is asked for, bound to how the extraction stood when the plan decided on it: what
/// somebody has done since is not undone by it.
pub(super) struct Wanted {
    action: Action,
    expected: Option<Precondition>,
}

impl Wanted {
    /// What takes back is done however it stands by then.
    pub(super) fn of(action: Action, status: &ExtractionStatus) -> Self {
        let expected = raises(action).then(|| Precondition {
            steps: None,
            ..Precondition::of(status)
        });
        Self { action, expected }
    }
}

fn raises(action: Action) -> bool {
    matches!(action, Action::Shift { .. } | Action::Switch)
}

/// Has an extraction do something. `goes_on`: whether that is still wanted, asked once
/// more before it is begun. Giving up waiting stops nothing.
pub(super) async fn asked(
    Wanted { action, expected }: Wanted,
    worker: &Worker,
    guard: &dyn ShiftGuard,
    name: &ExtractionName,
    goes_on: &AtomicBool,
) -> Result<(), NotDone> {
    let raises = raises(action);
    if raises && let Some(why) = guard.refusal(name).await {
        return Err(NotDone::Refused(why));
    }
    // Looking took its time, and somebody may have stopped it meanwhile.
    if raises && !goes_on.load(Ordering::Acquire) {
        return Err(NotDone::Refused("it was stopped meanwhile".to_owned()));
    }
    let request = match action {
        Action::Shift {
            reads,
            writes: Some(writes),
        } => Request::Shift(Shift::Both { reads, writes }),
        Action::Shift { reads, .. } => Request::Shift(Shift::Reads(reads)),
        Action::Verify => Request::Verify,
        Action::Switch => Request::Switch,
        Action::RollBack => Request::RollBack(Waived::default()),
        Action::Withdraw => Request::Withdraw,
    };
    let refused = |error: RequestError| {
        NotDone::Refused(match error {
            RequestError::Findings(_) => format!("{error} {name}"),
            error => error.to_string(),
        })
    };
    let reply = worker
        .request_if(request, expected)
        .await
        .map_err(refused)?;
    if let Some(found) = reply.verification.filter(|one| one.differences > 0) {
        return Err(NotDone::Differs(format!(
            "both sides differ in {} rows: `banyan verify {name}` lists them",
            found.differences
        )));
    }
    let Some(last) = reply.status.last_handover else {
        return Ok(());
    };
    let is_its = request.hands_over_to().is_some() && !last.rehearsal;
    if !is_its || last.outcome != "aborted" {
        return Ok(());
    }
    let why = last.reason.clone().unwrap_or_else(|| "aborted".to_owned());
    Err(if last.held() {
        NotDone::Aborted(format!("it was begun and undone: {why}"))
    } else {
        NotDone::Refused(why)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::rollout::{Position, StopReason, Undo};

    #[test]
    fn what_was_asked_before_a_stop_does_not_end_the_way_back() {
        let position = Position {
            step: 2,
            entered: None,
            permitted: None,
            is_approved: false,
            is_resumed: false,
        };
        let running = Rollout::Running(position.clone());
        let stopped = Rollout::Stopped {
            position,
            why: StopReason::Failed {
                what: "p95".to_owned(),
            },
            undo: Some(Undo::RollBack),
        };
        for (rollout, action, wanted) in [
            (&running, Action::Switch, true),
            (&running, Action::RollBack, true),
            (&stopped, Action::RollBack, true),
            (&stopped, Action::Switch, false),
            (&stopped, Action::Verify, false),
            (&Rollout::Idle, Action::RollBack, false),
            (&Rollout::Done, Action::Switch, false),
        ] {
            assert_eq!(ends(rollout, action), wanted, "{rollout:?}, {action:?}");
        }
    }
}

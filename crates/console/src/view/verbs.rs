//! What can be ordered from a page: what it will do and what would undo it.

use crate::role::Role;
use conductor::status::{ExtractionStatus, NextVerb, RolloutStatus};

/// A verb of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verb {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) needs: Role,
    pub(crate) confirmation: Confirmation,
    /// Whether it is refused where something has changed since the page was made. What
    /// takes harm back, or changes nothing, is not: it may be late, and is right all the same.
    pub(crate) is_bound: bool,
    pub(crate) does: &'static str,
    pub(crate) undo: &'static str,
}

/// What is asked before something is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirmation {
    Nothing,
    /// A page says what it will do.
    Page,
    /// That page wants the extraction's name typed: what is lost by it does not come back.
    Name,
}

impl Verb {
    /// Whether it has the steps of the plan go on, and takes the one to go on with.
    pub(crate) fn resumes_steps(&self) -> bool {
        self == RESUME_STEPS
    }

    /// Whether a page asks before.
    pub(crate) fn asks(&self) -> bool {
        self.confirmation != Confirmation::Nothing
    }

    /// Whether that page wants the extraction's name.
    pub(crate) fn wants_name(&self) -> bool {
        self.confirmation == Confirmation::Name
    }
}

/// A resume where the steps of the plan have stopped: another thing by the same name.
const RESUME_STEPS: &Verb = &Verb {
    name: "resume",
    label: "Resume the steps",
    needs: Role::Operator,
    confirmation: Confirmation::Page,
    is_bound: true,
    does: "Has the plan's steps go on, with the one that they stopped in, from its beginning, or \
           with another one. Streams that wait are tried again, too.",
    undo: "pause, or withdraw.",
};

/// All others.
pub(crate) const VERBS: &[Verb] = &[
    Verb {
        name: "start",
        label: "Start",
        needs: Role::Operator,
        confirmation: Confirmation::Nothing,
        is_bound: true,
        does: "Copies the tables into the service's database and follows them from then on. \
               Clients see nothing of it.",
        undo: "cancel: it ends without a trace.",
    },
    Verb {
        name: "verify",
        label: "Verify",
        needs: Role::Operator,
        confirmation: Confirmation::Nothing,
        is_bound: false,
        does: "Compares every row of both sides while changes flow. Nothing is written.",
        undo: "nothing is to be undone.",
    },
    Verb {
        name: "shift",
        label: "Shift readers",
        needs: Role::Operator,
        confirmation: Confirmation::Page,
        is_bound: true,
        does: "Sends a share of the readers to the other side; a client stays where it is as long \
               as the share only grows. No row moves by it.",
        undo: "withdraw: at once, for everybody. Rows, fences and streams stay as they are.",
    },
    Verb {
        name: "withdraw",
        label: "Withdraw",
        needs: Role::Operator,
        confirmation: Confirmation::Nothing,
        is_bound: false,
        does: "Sends all readers back to the monolith at once. Rows, fences and streams stay as \
               they are.",
        undo: "shift: the readers come again.",
    },
    Verb {
        name: "switch",
        label: "Switch",
        needs: Role::Operator,
        confirmation: Confirmation::Page,
        is_bound: true,
        does: "Hands the writes over to the service: writers wait for a moment, the monolith's \
               tables are fenced, and the service opens once it has every row.",
        undo: "rollback: the same way back, with all that was written since.",
    },
    Verb {
        name: "rehearse",
        label: "Rehearse the hold",
        needs: Role::Operator,
        confirmation: Confirmation::Page,
        is_bound: true,
        does: "Takes the hand-over that comes next up to its commit point, on production, and \
               undoes it there: tables are locked and fenced, writes of real users wait for a \
               moment, and upgraded connections are closed. Nothing is handed over.",
        undo: "it undoes itself; an epoch is spent.",
    },
    Verb {
        name: "rollback",
        label: "Roll back",
        needs: Role::Operator,
        confirmation: Confirmation::Page,
        is_bound: true,
        does: "Hands the writes back to the monolith, with all that was written since the switch: \
               writers wait for a moment, the service's tables are fenced. Readers stay where they \
               are: withdraw sends them back.",
        undo: "switch: the same way forth.",
    },
    Verb {
        name: "pause",
        label: "Hold here",
        needs: Role::Operator,
        confirmation: Confirmation::Page,
        is_bound: false,
        does: "Stops the plan's steps where they are. What harms is taken back all the same.",
        undo: "resume: the step goes on.",
    },
    Verb {
        name: "resume",
        label: "Try again now",
        needs: Role::Operator,
        confirmation: Confirmation::Page,
        is_bound: true,
        does: "Tries at once what a stream that has failed waits to try again by itself. The \
               plan's steps stay as they are.",
        undo: "nothing is to be undone.",
    },
    Verb {
        name: "approve",
        label: "Approve",
        needs: Role::Approver,
        confirmation: Confirmation::Page,
        is_bound: true,
        does: "Lets the step begin that waits for a person. Your name is kept with it.",
        undo: "pause stops what follows; what has been approved stays written down.",
    },
    Verb {
        name: "recopy",
        label: "Copy again",
        needs: Role::Operator,
        confirmation: Confirmation::Name,
        is_bound: true,
        does: "Has streams that have lost changes begin anew: the other side's rows are made the \
               owner's, and rows that only the other side has are deleted.",
        undo: "nothing brings those rows back.",
    },
    Verb {
        name: "cancel",
        label: "Cancel",
        needs: Role::Operator,
        confirmation: Confirmation::Name,
        is_bound: true,
        does: "Ends the extraction: everything of Banyan's is removed from both databases, and \
               what was copied into the service is emptied. The monolith keeps the data. The copy \
               is lost, with the time that it took.",
        undo: "start begins it anew, with a new copy.",
    },
    Verb {
        name: "finish",
        label: "Finish",
        needs: Role::Operator,
        confirmation: Confirmation::Name,
        is_bound: true,
        does: "Keeps it at the service for good: all reads go there, whatever their share is now, \
               nothing flows back to the monolith any more, and everything of Banyan's is removed from both databases. The way back is lost: what \
               is written from then on, the monolith does not have.",
        undo: "nothing does: there is no way back after it.",
    },
];

/// The verb of this name, as it is for an extraction that stands so.
pub(crate) fn find(name: &str, one: &ExtractionStatus) -> Option<&'static Verb> {
    let waits = matches!(one.asks, Some(NextVerb::Resume { .. }));
    let has_stopped = |rollout: &RolloutStatus| rollout.state == "stopped";
    if name == "resume" && (waits || one.rollout.as_ref().is_some_and(has_stopped)) {
        return Some(RESUME_STEPS);
    }
    VERBS.iter().find(|verb| verb.name == name)
}

//! What can be ordered from a page: what it will do and what would undo it.

use crate::role::Role;

/// A verb of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verb {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) needs: Role,
    /// Whether a page asks before.
    pub(crate) asks: bool,
    pub(crate) does: &'static str,
    pub(crate) undo: &'static str,
}

/// All of them.
pub(crate) const VERBS: &[Verb] = &[
    Verb {
        name: "start",
        label: "Start",
        needs: Role::Operator,
        asks: false,
        does: "Copies the tables into the service's database and follows them from then on. \
               Clients see nothing of it.",
        undo: "cancel: it ends without a trace.",
    },
    Verb {
        name: "verify",
        label: "Verify",
        needs: Role::Operator,
        asks: false,
        does: "Compares every row of both sides while changes flow. Nothing is written.",
        undo: "nothing is to be undone.",
    },
    Verb {
        name: "shift",
        label: "Shift readers",
        needs: Role::Operator,
        asks: true,
        does: "Sends a share of the readers to the other side; a client stays where it is as long \
               as the share only grows. No row moves by it.",
        undo: "withdraw: at once, for everybody. Rows, fences and streams stay as they are.",
    },
    Verb {
        name: "withdraw",
        label: "Withdraw",
        needs: Role::Operator,
        asks: false,
        does: "Sends all readers back to the monolith at once. Rows, fences and streams stay as \
               they are.",
        undo: "shift: the readers come again.",
    },
    Verb {
        name: "switch",
        label: "Switch",
        needs: Role::Operator,
        asks: true,
        does: "Hands the writes over to the service: writers wait for a moment, the monolith's \
               tables are fenced, and the service opens once it has every row.",
        undo: "rollback: the same way back, with all that was written since.",
    },
    Verb {
        name: "rollback",
        label: "Roll back",
        needs: Role::Operator,
        asks: true,
        does: "Hands the writes back to the monolith, with all that was written since the switch: \
               writers wait for a moment, the service's tables are fenced.",
        undo: "switch: the same way forth.",
    },
    Verb {
        name: "pause",
        label: "Hold here",
        needs: Role::Operator,
        asks: true,
        does: "Stops the plan's steps where they are. What harms is taken back all the same.",
        undo: "resume: the step goes on.",
    },
    Verb {
        name: "resume",
        label: "Resume",
        needs: Role::Operator,
        asks: true,
        does: "Lets the plan's steps go on, and tries now what is tried again by itself.",
        undo: "pause, or withdraw.",
    },
    Verb {
        name: "approve",
        label: "Approve",
        needs: Role::Approver,
        asks: true,
        does: "Lets the step begin that waits for a person. Your name is kept with it.",
        undo: "pause stops what follows; what has been approved stays written down.",
    },
    Verb {
        name: "recopy",
        label: "Copy again",
        needs: Role::Operator,
        asks: true,
        does: "Has streams that have lost changes begin anew: the other side's rows are made the \
               owner's, and rows that only the other side has are deleted.",
        undo: "nothing brings those rows back.",
    },
    Verb {
        name: "cancel",
        label: "Cancel",
        needs: Role::Operator,
        asks: true,
        does: "Ends the extraction: everything of Banyan's is removed from both databases, and \
               what was copied into the service is emptied. The monolith keeps the data.",
        undo: "start begins it anew, with a new copy.",
    },
    Verb {
        name: "finish",
        label: "Finish",
        needs: Role::Operator,
        asks: true,
        does: "Keeps it at the service for good: nothing flows back to the monolith any more, and \
               everything of Banyan's is removed from both databases.",
        undo: "nothing does: there is no way back after it.",
    },
];

/// The verb of this name.
pub(crate) fn find(name: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.name == name)
}

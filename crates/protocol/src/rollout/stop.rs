//! Why a rollout has stopped, and what takes its step back.

use super::actor::Actor;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a rollout has stopped.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "kebab-case")]
pub enum StopReason {
    /// A gate has failed.
    Gate {
        /// Which.
        gate: String,
        /// What it found, in words.
        found: String,
    },
    /// A person wanted it so.
    Person {
        /// Who.
        by: Actor,
        /// In that person's words.
        note: String,
    },
    /// Something was changed that the plan does not ask for.
    Changed {
        /// What.
        what: String,
    },
    /// What is due does not work, and does not by itself.
    Failed {
        /// What came of it.
        what: String,
    },
    /// The steps of the plan up to here are others than they were.
    PlanChanged {
        /// The first that differs, as it was and as it is.
        was: String,
        /// As it is.
        is: String,
    },
}

/// What takes back what a step has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undo {
    /// All reads go back to the monolith.
    Withdraw,
    /// The data do.
    RollBack,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gate { gate, found } => write!(f, "gate `{gate}` failed: {found}"),
            Self::Person { by, note } if note.is_empty() => write!(f, "paused by {by}"),
            Self::Person { by, note } => write!(f, "paused by {by}: {note}"),
            Self::Changed { what } | Self::Failed { what } => f.write_str(what),
            Self::PlanChanged { was, is } => {
                write!(f, "the plan has another step here: `{was}` is `{is}` now")
            }
        }
    }
}

impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Withdraw => "withdraw",
            Self::RollBack => "rollback",
        })
    }
}

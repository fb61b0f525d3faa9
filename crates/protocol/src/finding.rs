//! What `check` finds: a reason to refuse an extraction, or to warn of it.
//!
//! Here because both sides of the conductor's port name it: the mover makes
//! findings, the conductor decides by their severity and reports them.
//!
//! Each has an id that never changes ([`FindingId`]), by which it is explained
//! ([`explanation`]).

pub mod explanation;
mod id;
pub mod page;
mod remedy;

pub use id::FindingId;
pub use remedy::{Remedy, Statement};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How bad a finding is; refusals sort first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It cannot be moved safely; nothing is begun.
    Refuse,
    /// It can, but an operator should know.
    Warn,
}

/// One thing that `check` found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Which finding it is.
    #[serde(default)]
    #[schemars(with = "String")]
    pub id: FindingId,
    /// How bad it is.
    pub severity: Severity,
    /// Which table, column, role or server.
    pub object: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to do.
    #[serde(flatten)]
    pub remedy: Remedy,
}

impl Finding {
    /// A reason to refuse.
    pub fn refuse(
        id: FindingId,
        object: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<Remedy>,
    ) -> Self {
        Self {
            id,
            severity: Severity::Refuse,
            object: object.into(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }

    /// Worth knowing, and no reason to refuse.
    pub fn warn(
        id: FindingId,
        object: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<Remedy>,
    ) -> Self {
        Self {
            severity: Severity::Warn,
            ..Self::refuse(id, object, problem, remedy)
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}. {}", self.object, self.problem, self.remedy)
    }
}

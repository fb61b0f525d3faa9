//! What speaks against a hand-over.

use serde::Serialize;
use std::fmt;

/// A reason not to begin a hand-over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Blocker {
    /// What prevents it: a table, a stream, a writer.
    pub object: String,
    /// Why it does.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}. {}", self.object, self.problem, self.remedy)
    }
}

pub(super) fn blocker(
    object: impl Into<String>,
    problem: impl Into<String>,
    remedy: &str,
) -> Blocker {
    Blocker {
        object: object.into(),
        problem: problem.into(),
        remedy: remedy.to_owned(),
    }
}

//! The state of an extraction's checklists in this process.

use protocol::checklist::Answers;

/// What is answered, and what is just being found out.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct State {
    pub(super) answers: Answers,
    pub(super) checking: Option<String>,
}

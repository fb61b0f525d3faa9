//! What a check finds.

use protocol::checklist::CheckResult;

/// What came of a check, and that in words.
pub(super) type Answer = (CheckResult, String);

pub(super) fn passed(text: impl Into<String>) -> Answer {
    (CheckResult::Passed, text.into())
}

pub(super) fn failed(text: impl Into<String>) -> Answer {
    (CheckResult::Failed, text.into())
}

pub(super) fn skipped(text: impl Into<String>) -> Answer {
    (CheckResult::Skipped, text.into())
}

//! What is kept of what was found.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is kept for the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReportKind {
    /// Of the last verify.
    Verify,
    /// What it found, row by row.
    Verification,
    /// Of the last hand-over.
    Handover,
    /// Of the last rehearsal of one.
    Rehearsal,
    /// Of the gates of the step that a rollout is in.
    Gates,
    /// Of the evidence that the old side is not used.
    Retire,
    /// Of who came by its old ways.
    OldCallers,
}

impl ReportKind {
    /// What the journal's event calls it; `None`: it is kept for the status alone.
    pub(super) fn recorded_as(self) -> Option<&'static str> {
        match self {
            Self::Verify => Some("verify"),
            // Which of both it is of, it says itself.
            Self::Handover | Self::Rehearsal => Some("handover"),
            Self::Verification | Self::Gates | Self::Retire | Self::OldCallers => None,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Verification => "verification",
            Self::Handover => "handover",
            Self::Rehearsal => "rehearsal",
            Self::Gates => "gates",
            Self::Retire => "retire",
            Self::OldCallers => "old-callers",
        }
    }
}

/// A report of a verify or a hand-over, whose place in the status the next one takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum ReportEvent {
    /// It was made.
    #[serde(rename = "reported")]
    Reported {
        /// Of what: `verify` or `handover`.
        of: String,
        /// As the status has it.
        report: Value,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Never edited: what these lines say was written by some release.
    const REPORTS: &str = include_str!("../../tests/golden/report_events.jsonl");

    #[test]
    fn reports_of_earlier_releases_are_read_as_they_were_written() {
        let written = ReportEvent::Reported {
            of: "verify".to_owned(),
            report: json!({ "at_ms": 1_700_000_000_000_i64, "differences": 0, "rows": 3 }),
        };
        let line = serde_json::to_string(&written).unwrap();
        assert_eq!(line, REPORTS.trim_end());
        assert_eq!(serde_json::from_str::<ReportEvent>(&line).unwrap(), written);
    }
}

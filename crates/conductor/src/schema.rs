//! The JSON Schemas of what the command line prints with `--json`. They are published in
//! docs/reference/schemas, and a test keeps those.

use crate::{
    journal::JournalEntry,
    status::{
        ChecklistStatus, ExtractionStatus, HandoverStatus, ItemStatus, RolloutStatus, Status,
    },
};
use protocol::rollout::TimelineEntry;
use schemars::schema_for;

/// A document that is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// `status` and `halt`; `watch` prints one in each line.
    Status,
    /// `start`, `shift`, `withdraw`, `resume`, `pause` and `approve`.
    Extraction,
    /// `why`.
    Rollout,
    /// `switch` and `rollback`; each of those of `rehearse --hold`.
    Handover,
    /// `rehearse`.
    Timeline,
    /// `checklist` of an extraction.
    Checklists,
    /// `checklist` of one list or item, and `attest`.
    Items,
    /// Each line of `journal`.
    Entry,
}

impl Document {
    /// All there are.
    pub const ALL: [Self; 8] = [
        Self::Status,
        Self::Extraction,
        Self::Rollout,
        Self::Handover,
        Self::Timeline,
        Self::Checklists,
        Self::Items,
        Self::Entry,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Extraction => "extraction",
            Self::Rollout => "rollout",
            Self::Handover => "handover",
            Self::Timeline => "timeline",
            Self::Checklists => "checklists",
            Self::Items => "items",
            Self::Entry => "entry",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// Its schema.
    pub fn json_schema(self) -> serde_json::Value {
        match self {
            Self::Status => schema_for!(Status),
            Self::Extraction => schema_for!(ExtractionStatus),
            Self::Rollout => schema_for!(RolloutStatus),
            Self::Handover => schema_for!(HandoverStatus),
            Self::Timeline => schema_for!(Vec<TimelineEntry>),
            Self::Checklists => schema_for!(Vec<ChecklistStatus>),
            Self::Items => schema_for!(Vec<ItemStatus>),
            Self::Entry => schema_for!(JournalEntry),
        }
        .to_value()
    }
}

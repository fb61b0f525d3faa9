//! What a row of the journal says.

use conductor::{JournalEntry, OrderEvent, ReportEvent};
use protocol::{checklist, lifecycle, rollout, shared_data};
use serde::Deserialize;
use serde_json::Value;

/// What a row says, as far as this program knows its kind.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Recorded {
    /// Of an extraction whose data move.
    Life(lifecycle::Event),
    /// Of one whose data both sides share.
    Shared(shared_data::Event),
    /// Of the steps of the plan.
    Steps(rollout::Event),
    /// Of what a person ordered.
    Order(OrderEvent),
    /// What a verify or a hand-over found.
    Report(ReportEvent),
    /// Of an item of a checklist.
    Item(checklist::Event),
    /// Of something else, or of a later program.
    Other(Value),
}

impl Recorded {
    /// That of a row; nothing of one that cannot be read.
    pub(crate) fn of(entry: &JournalEntry) -> Self {
        let read = serde_json::from_str(entry.event.get());
        read.unwrap_or(Self::Other(Value::Null))
    }
}

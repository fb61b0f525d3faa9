//! Entries of the journal, as they are read by others.

use super::history::RecordedEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One entry.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct JournalEntry {
    /// Its number: one more than that of the entry before.
    pub seq: i64,
    /// When it was written, in milliseconds since 1970.
    pub at_ms: i64,
    /// Of which extraction; `*`: of all.
    pub extraction: String,
    /// The format of the event.
    pub version: i64,
    /// What has happened, to the letter as it was written: the hash goes over that.
    #[schemars(with = "serde_json::Value")]
    pub event: Box<RawValue>,
    /// Over all of this and the hash of the entry before.
    pub hash: String,
}

impl JournalEntry {
    /// What it says; none where it is of a later program.
    pub fn recorded(&self) -> Option<RecordedEvent> {
        serde_json::from_str(self.event.get()).ok()
    }

    /// From its columns: number, time, extraction and version; event; hash.
    pub(super) fn of_row(
        (seq, at_ms, extraction, version): (i64, i64, String, i64),
        event: &str,
        hash: String,
    ) -> Self {
        // What is no JSON was not written by us: shown as a text, whose hash is another.
        let raw = RawValue::from_string(event.to_owned())
            .or_else(|_| serde_json::value::to_raw_value(event));
        Self {
            seq,
            at_ms,
            extraction,
            version,
            event: raw.unwrap_or_else(|_| RawValue::NULL.to_owned()),
            hash,
        }
    }
}

/// The last entry of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JournalHead {
    /// Its number.
    pub seq: i64,
    /// Its hash.
    pub hash: String,
}

/// Which entries are wanted, at most [`PAGE_ENTRIES_MAX`] of them, the oldest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalQuery {
    /// Of this extraction; `*`: of all at once; else of each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extraction: Option<String>,
    /// Those after this number.
    #[serde(default)]
    pub after: i64,
    /// The last ones before this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
    /// So many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// The most entries of a page.
pub const PAGE_ENTRIES_MAX: u32 = 500;

/// As many as a page has that does not say.
pub(super) const PAGE_ENTRIES: u32 = 100;

/// A page with an entry has no further one beyond these bytes.
pub(super) const PAGE_BYTES_MAX: usize = 4 << 20;

/// Some entries.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JournalPage {
    /// The oldest first. None: there are no more.
    pub entries: Vec<JournalEntry>,
    /// The last entry of the journal; none of an empty one.
    pub head: Option<JournalHead>,
}

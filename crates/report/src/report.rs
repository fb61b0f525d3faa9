//! All of it.

use crate::{chapter::Chapter, figures::Figures, moment::Moment};
use conductor::{JournalEntry, status::Status};
use schemars::JsonSchema;
use serde::Serialize;

/// A migration, as its journal and its status have it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Report {
    /// When it was made, in milliseconds since 1970.
    pub made_at_ms: i64,
    /// The journal's last row that it goes by.
    pub last_seq: Option<i64>,
    /// The chain's hash there.
    pub last_hash: Option<String>,
    /// The whole in four figures.
    pub figures: Figures,
    /// The extractions, in the status' order.
    pub extractions: Vec<Chapter>,
    /// What happened to all of them at once.
    pub of_all: Vec<Moment>,
}

impl Report {
    /// Of all extractions of the status, or of these. `entries`: the journal, in order.
    pub fn new(
        status: &Status,
        entries: &[JournalEntry],
        only: &[String],
        made_at_ms: i64,
    ) -> Self {
        let is_wanted = |name: &String| only.is_empty() || only.contains(name);
        let statuses: Vec<_> = status
            .extractions
            .iter()
            .filter(|one| is_wanted(&one.name))
            .cloned()
            .collect();
        let extractions: Vec<_> = statuses
            .iter()
            .map(|one| Chapter::new(one, entries))
            .collect();
        let of_all = entries.iter().filter(|one| one.extraction == "*");
        let of_all = of_all.filter_map(Moment::read);
        Self {
            made_at_ms,
            last_seq: entries.last().map(|one| one.seq),
            last_hash: entries.last().map(|one| one.hash.clone()),
            figures: Figures::new(&statuses),
            of_all: of_all.collect(),
            extractions,
        }
    }
}

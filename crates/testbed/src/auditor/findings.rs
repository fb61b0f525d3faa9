//! What the auditor found, and on which side.

use anyhow::Result;
use std::collections::BTreeMap;

/// One of the two databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The monolith's.
    Monolith,
    /// The service's.
    Service,
}

impl Side {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Monolith => "monolith",
            Self::Service => "service",
        }
    }
}

/// What the auditor found. Each entry is a sentence of its own.
#[derive(Debug, Clone, Default)]
pub struct Audit {
    /// Acknowledged writes that were looked for.
    pub acknowledged: usize,
    /// Writes whose sender does not know.
    pub unknown: usize,
    /// Writes that were refused.
    pub refused: usize,
    /// Acknowledged, but not there on some side; by reference.
    pub lost: BTreeMap<String, String>,
    /// There more often than the record allows: an acknowledged or unknown
    /// write twice, a refused one at all, or one that nobody sent; by
    /// reference.
    pub doubled: BTreeMap<String, String>,
    /// Rows that differ between the sides.
    pub differences: Vec<String>,
    /// What contradicts itself on one side: versions, sequences.
    pub contradictions: Vec<String>,
    /// Rows compared between the sides.
    pub rows_compared: usize,
}

impl Audit {
    /// Whether nothing was found.
    pub fn is_clean(&self) -> bool {
        self.problems().is_empty()
    }

    /// Everything that was found.
    pub fn problems(&self) -> Vec<&str> {
        let writes = self.lost.values().chain(self.doubled.values());
        let rest = self.differences.iter().chain(&self.contradictions);
        writes.chain(rest).map(String::as_str).collect()
    }

    /// An error with what was found, if anything was.
    pub fn ensure_clean(&self) -> Result<()> {
        const SHOWN: usize = 20;
        let problems = self.problems();
        if problems.is_empty() {
            return Ok(());
        }
        let shown: Vec<&str> = problems.iter().copied().take(SHOWN).collect();
        anyhow::bail!(
            "the auditor found {} problems:\n{}",
            problems.len(),
            shown.join("\n")
        )
    }
}

//! What is said of one finding.

use crate::finding::id::FindingId;
use serde::Serialize;

/// What is to be said of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Which finding.
    pub id: FindingId,
    /// What is found, in a few words.
    pub title: &'static str,
    /// Why it stands in the way.
    pub why: &'static str,
    /// How to mend it.
    pub mend: &'static str,
    /// Where to read more.
    pub source: &'static str,
}

pub(super) const fn explain(
    id: FindingId,
    title: &'static str,
    why: &'static str,
    mend: &'static str,
    source: &'static str,
) -> Explanation {
    Explanation {
        id,
        title,
        why,
        mend,
        source,
    }
}

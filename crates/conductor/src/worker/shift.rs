//! What a shift changes.

use plan::Percent;

/// Which shares are changed, and to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    /// That of the reads.
    Reads(Percent),
    /// That of the writes.
    Writes(Percent),
    /// Both.
    Both {
        /// Of the reads.
        reads: Percent,
        /// Of the writes.
        writes: Percent,
    },
}

impl Shift {
    /// The share of the reads, if that is changed.
    pub fn reads(self) -> Option<Percent> {
        match self {
            Self::Reads(reads) | Self::Both { reads, .. } => Some(reads),
            Self::Writes(_) => None,
        }
    }

    /// The share of the writes, if that is changed.
    pub fn writes(self) -> Option<Percent> {
        match self {
            Self::Writes(writes) | Self::Both { writes, .. } => Some(writes),
            Self::Reads(_) => None,
        }
    }
}

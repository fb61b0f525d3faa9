//! Calls to the databases, and what comes back.

use crate::database::Refused;
use protocol::{
    ConductorId, HandoverId, InstanceId, Side,
    owner::{Claim, Outcome, RowRead},
};

/// A call on its way to a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Call {
    /// The place of whoever sent it.
    pub conductor: usize,
    /// Which run of it did.
    pub run: ConductorId,
    pub side: Side,
    pub what: What,
}

impl Call {
    pub fn claims(&self) -> bool {
        matches!(
            self.what,
            What::Claim(_) | What::Prepare(_) | What::TakeAway(..)
        )
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    /// Reads the row, before it is claimed.
    Read,
    Claim(ConductorId),
    Prepare(InstanceId),
    Copy(Claim, InstanceId),
    Fence(Claim, HandoverId),
    CatchUp(HandoverId),
    Decide(Claim, HandoverId, Outcome),
    /// Reads the source's row, before the target is opened.
    ReadGiven(HandoverId),
    Open(Claim, HandoverId),
    Unfence(Claim, InstanceId),
    /// Claims for a cancel, if the monolith owns and the row is of this instance.
    TakeAway(ConductorId, Option<InstanceId>),
    Clear(Claim),
}

/// What comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reply {
    Row {
        read: RowRead,
        /// The claim, where one was made.
        claim: Option<Claim>,
        /// Whether the first copy is complete, as far as this side knows.
        copied: bool,
    },
    Done,
    Decided(Outcome),
    Refused(Refused),
}

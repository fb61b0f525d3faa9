//! What is asked of an extraction, and why it may be refused.

use super::Verified;
use crate::{InstanceId, Nonce, Side, handover::Input};
use plan::Percent;

/// What an extraction is to do, or what has been done for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Begin: prepare, copy, follow.
    Start {
        /// Fresh.
        instance: InstanceId,
    },
    /// Our objects exist on both sides.
    Prepared,
    /// The copy is complete and the follower goes on from it.
    Copied,
    /// A verify has ended.
    Verified(Verified),
    /// Change the share of reads.
    ShiftReads(Percent),
    /// Hand over to this side.
    HandOver {
        /// The new owner.
        to: Side,
        /// Fresh.
        nonce: Nonce,
    },
    /// Rehearse the hand-over to the side that does not own.
    Rehearse {
        /// Fresh.
        nonce: Nonce,
    },
    /// Something for the hand-over under way.
    Handover(Input),
    /// End it without a trace.
    Cancel,
    /// Everything of ours is gone.
    Cancelled,
    /// Send all reads to the monolith, while it owns.
    Withdraw,
    /// Keep it at the service for good.
    Finish,
    /// Everything of ours is gone, and the service has it.
    Finished,
}

/// A command that cannot be carried out now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The state does not allow it.
    #[error("it is {state}. {remedy}")]
    WrongState {
        /// The state's name.
        state: &'static str,
        /// What to do instead.
        remedy: &'static str,
    },
    /// The side owns it already.
    #[error("the {0} owns it already")]
    OwnsAlready(Side),
    /// It cannot be cancelled any more.
    #[error("the service owns it; roll back first: `banyan rollback`")]
    Switched,
    /// Reads are not withdrawn from the owner.
    #[error(
        "the service owns it. `banyan rollback` hands the writes back to the monolith; `banyan \
         shift --reads 0%` sends only reads there"
    )]
    NotWithdrawn,
    /// There is nothing to finish.
    #[error(
        "the monolith owns it, so it cannot be finished. Hand it over with `banyan switch`, or end \
         it with `banyan cancel`"
    )]
    NotSwitched,
    /// It was finished.
    #[error(
        "it is {0}: the service has it for good, the stream back and the monolith's fence are \
         gone, so there is no way back. `banyan finish` says what a rollback would need, and \
         which routes to write into the plan instead of the extraction"
    )]
    Finished(&'static str),
}

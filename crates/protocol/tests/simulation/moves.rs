//! All that can happen. Nothing happens by itself: a schedule is a list of moves, and one
//! that does not fit when its turn comes changes nothing. So every part of a schedule is
//! a schedule, and one that fails can be made smaller.

use crate::steps::Finding;
use protocol::Side;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Move {
    /// A client sends a write to a gateway.
    Write {
        gateway: u8,
    },
    /// A writer of the monolith that no gateway sees begins.
    Background,
    /// A transaction goes on: its snapshot, its write, its commit. `heard`: its client
    /// hears of the commit.
    Transaction {
        which: u8,
        heard: bool,
    },
    /// A user's transaction on a table that both sides write.
    Shared {
        side: Side,
        what: u8,
    },

    /// A follower reads on.
    Receive {
        follower: u8,
    },
    /// It applies what it has read, and stores how far.
    Apply {
        follower: u8,
    },
    /// It tells its source what is stored.
    Confirm {
        follower: u8,
    },
    /// Its connection is lost, and made again.
    Reconnect {
        follower: u8,
    },

    /// A gateway hears what a conductor tells, or told before.
    Hear {
        conductor: u8,
        gateway: u8,
        late: bool,
    },
    /// A gateway that holds and has nothing under way says so.
    Acknowledge {
        conductor: u8,
        gateway: u8,
    },
    /// A gateway and a conductor hear each other no more.
    CutGateway {
        conductor: u8,
        gateway: u8,
    },
    MendGateway {
        gateway: u8,
    },
    /// The lease of a gateway that hears nobody ends, by its clock.
    LeaseEnds {
        gateway: u8,
    },
    /// The same by the conductor's clock, which is another.
    LeaseCounted {
        conductor: u8,
        gateway: u8,
    },
    GatewayDies {
        gateway: u8,
    },
    /// What is held is answered, unsent.
    HoldExpires {
        gateway: u8,
    },

    /// A conductor sends the call that is due.
    Send {
        conductor: u8,
    },
    /// A call is carried out; `again`: and comes once more later.
    Deliver {
        call: u8,
        again: bool,
        lost: bool,
    },
    /// A call never comes, or only when nobody waits for it any more.
    Lose {
        call: u8,
        late: bool,
    },
    /// One of those comes.
    Late {
        call: u8,
    },
    /// A conductor waits no longer for a reply.
    GiveUp {
        conductor: u8,
    },
    /// The hold's deadline has come, by the conductor's clock.
    Deadline {
        conductor: u8,
    },
    Ready {
        conductor: u8,
    },
    /// A conductor looks whether another has come.
    Beat {
        conductor: u8,
    },
    /// A conductor's process ends, wherever it is, and starts again.
    Crash {
        conductor: u8,
        journal_lost: bool,
    },
    /// A second conductor starts, with the first one's journal as it was so many entries
    /// ago, or with none.
    Second {
        back: Option<u8>,
    },
    CutDatabase {
        conductor: u8,
        side: Side,
    },
    MendDatabase {
        conductor: u8,
    },
    /// A database answers nothing for so many moves.
    Slow {
        side: Side,
        moves: u8,
    },

    /// People.
    HandOver {
        conductor: u8,
    },
    Rehearse {
        conductor: u8,
    },
    Abort {
        conductor: u8,
    },
    Start {
        conductor: u8,
    },
    Cancel {
        conductor: u8,
    },
    Shift {
        conductor: u8,
        percent: u8,
    },
    Halt {
        conductor: u8,
        on: bool,
    },
    Pause {
        conductor: u8,
    },
    Resume {
        conductor: u8,
        back: u8,
    },
    Approve {
        conductor: u8,
    },

    /// The steps of the plan.
    Turn {
        conductor: u8,
    },
    Act {
        conductor: u8,
    },
    Hours {
        hours: u8,
    },
    GateFinds {
        gate: u8,
        found: Finding,
    },
    /// A stream is not well, or is again: reads are withheld from who follows.
    Withheld {
        is: bool,
    },
    /// One that must switch first has not, or has.
    Awaiting {
        is: bool,
    },
}

//! Mistakes that the simulation must find. Each is a switch in what surrounds the
//! protocol here: databases, followers, gateways, the conductor's shell. The protocol
//! itself has none.

/// A mistake, planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bug {
    /// vitessio/vitess#17326: after an interrupted switch the routing was believed, and
    /// not the tables that were denied already, so that nobody finished or undid it.
    /// Here: a conductor that starts believes its journal, and not the rows.
    RoutingBelieved,
    /// vitessio/vitess#16563: the position to catch up to was read before the tables were
    /// locked, so that writers still running came after it. Here: the mark is written
    /// before the running writers have ended.
    MarkBeforeLock,
    /// vitessio/vitess#9400: a transaction begun before the switch wrote and committed on
    /// the old side after it. Here: the fence looks at the row as the writer's snapshot
    /// had it, instead of locking it.
    SnapshotRead,
    /// vitessio/vitess#6951: a switch straight after the start did not wait for the copy.
    /// Here: the copy is said to be complete when it has begun.
    SwitchBeforeCopy,
    /// The fence lets writes pass while nobody owns.
    FenceLetsNobodyPass,
    /// The fence does not wait for running writers.
    FenceWithoutLock,
    /// A claim is not compared with the row.
    ForgottenGeneration,
    /// An abort writes no opening into the change stream.
    AbortWithoutOpening,
    /// The commit point is asked for before the target has read the mark.
    CommitBeforeCaughtUp,
    /// Applied rows and the stream's position are two transactions.
    PositionNotAtomic,
    /// The source is told that more was stored than was.
    ConfirmBeyondStored,
    /// Rows that both sides append follow the state of the stream.
    AppendsFollowTheState,
    /// What came by the other stream is sent back.
    OriginIgnored,
    /// Rows of a split table go on flowing after the split.
    SplitForgotten,
    /// Held writes are sent to the target before it is open.
    ReleaseBeforeOpen,
    /// The source is fenced though gateways have not acknowledged the hold.
    FenceBeforeAcknowledged,
    /// An abort takes the row back although the commit has won.
    AbortAfterCommit,
    /// A rehearsal asks for the commit.
    RehearsalCommits,
    /// The fence's triggers are dropped without a look at the row.
    UnfenceWithoutLooking,
    /// The next life after a cancel has the instance of the one before.
    InstanceReused,
    /// A conductor claims the rows without comparing them with its journal.
    ClaimWithoutComparing,
    /// A conductor that was superseded goes on telling how it stands.
    SupersededStillTells,
    /// A gate that cannot say anything is taken for one that passes.
    UnknownIsPass,
    /// A halt is not looked at by what was asked for before it.
    HaltComesTooLate,
    /// Steps are not written down: what is shown after a restart is not what is.
    NoteNotWritten,
}

impl Bug {
    pub const ALL: [Self; 25] = [
        Self::RoutingBelieved,
        Self::MarkBeforeLock,
        Self::SnapshotRead,
        Self::SwitchBeforeCopy,
        Self::FenceLetsNobodyPass,
        Self::FenceWithoutLock,
        Self::ForgottenGeneration,
        Self::AbortWithoutOpening,
        Self::CommitBeforeCaughtUp,
        Self::PositionNotAtomic,
        Self::ConfirmBeyondStored,
        Self::AppendsFollowTheState,
        Self::OriginIgnored,
        Self::SplitForgotten,
        Self::ReleaseBeforeOpen,
        Self::FenceBeforeAcknowledged,
        Self::AbortAfterCommit,
        Self::RehearsalCommits,
        Self::UnfenceWithoutLooking,
        Self::InstanceReused,
        Self::ClaimWithoutComparing,
        Self::SupersededStillTells,
        Self::UnknownIsPass,
        Self::HaltComesTooLate,
        Self::NoteNotWritten,
    ];

    /// The one of that name, as `Debug` writes it.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bug| format!("{bug:?}") == name)
    }
}

//! What a follower does with the change stream of one direction.
//!
//! The state is a row in the *target's* database, changed in the same
//! transaction as the rows that were applied; it is the only durable state of
//! a follower. Each message in the source's stream is transactional and names
//! instance, epoch and nonce.

use crate::{Epoch, HandoverId, InstanceId, Nonce, Side, owner::OwnerRow};
use plan::TableWrites;
use serde::{Deserialize, Serialize};

/// The prefix of our logical messages.
pub const MESSAGE_PREFIX: &str = "banyan";

/// Which way changes flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From the monolith to the service.
    Forward,
    /// From the service to the monolith.
    Reverse,
}

impl Direction {
    /// Both, forward first.
    pub const BOTH: [Self; 2] = [Self::Forward, Self::Reverse];

    /// The direction in which `source` is read.
    pub fn from_source(source: Side) -> Self {
        match source {
            Side::Monolith => Self::Forward,
            Side::Service => Self::Reverse,
        }
    }

    /// Where the changes come from.
    pub fn source(self) -> Side {
        match self {
            Self::Forward => Side::Monolith,
            Self::Reverse => Side::Service,
        }
    }

    /// Where they go.
    pub fn target(self) -> Side {
        self.source().other()
    }

    /// Its word in rows and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Reverse => "reverse",
        }
    }
}

/// What is done with rows that come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "epoch")]
pub enum StreamState {
    /// They are applied, since the opening of this epoch (0: since the copy).
    Applying(Epoch),
    /// Everything before the mark of this epoch has been applied; what comes
    /// is not, until the source is opened again.
    Stopped(Epoch),
    /// The source has not been opened since the stream was made.
    Waiting,
}

/// A message of ours in the change stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message {
    /// Which extraction.
    pub instance: InstanceId,
    /// Which decision.
    pub epoch: Epoch,
    /// Which attempt.
    pub nonce: Nonce,
    /// What it says.
    pub kind: MessageKind,
}

impl Message {
    /// What a hand-over writes into the stream.
    pub fn of(id: &HandoverId, kind: MessageKind) -> Self {
        Self {
            instance: id.instance,
            epoch: id.epoch,
            nonce: id.nonce,
            kind,
        }
    }
}

/// What a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageKind {
    /// The source's fence is closed: nothing of the epoch's source comes after.
    Mark,
    /// The source's fence is open: what comes after is the new owner's.
    Open,
}

impl StreamState {
    /// The state after a message of the right instance has been read.
    /// A message of an older epoch than the state's changes nothing.
    #[must_use]
    pub fn after(self, message: &Message) -> Self {
        match (self, message.kind) {
            (Self::Applying(since), MessageKind::Mark) if message.epoch > since => {
                Self::Stopped(message.epoch)
            }
            (Self::Stopped(at), MessageKind::Open) if message.epoch >= at => {
                Self::Applying(message.epoch)
            }
            (Self::Waiting, MessageKind::Open) => Self::Applying(message.epoch),
            (state, _) => state,
        }
    }

    /// What becomes of a change that others than we made at the source.
    ///
    /// The state is about what an owner writes alone. An insert into a table
    /// that both sides insert into is applied in every state; an update or a
    /// delete there is the owner's alone, and finds its row: who made it has
    /// the row, by an insert that came earlier in this stream, or because the
    /// target inserted it. A table that is split flows forward, whatever the
    /// state, until the service has owned the data once ([`is_split`]).
    pub fn treatment(
        self,
        direction: Direction,
        writes: TableWrites,
        change: RowChange,
        split: bool,
    ) -> Treatment {
        match (writes, change) {
            (TableWrites::Split, _) if split || direction == Direction::Reverse => Treatment::Skip,
            (TableWrites::Split, _) | (TableWrites::Append, RowChange::Insert) => Treatment::Apply,
            (TableWrites::Owner | TableWrites::Append, _) => match self {
                Self::Applying(_) => Treatment::Apply,
                Self::Stopped(_) => Treatment::Trespass,
                Self::Waiting => Treatment::Skip,
            },
        }
    }
}

/// Whether each side keeps its own of the split tables: since the service has
/// owned the data for the first time, whoever owns them now. An aborted
/// hand-over never opens the service's row, which is at epoch 0 until then.
pub fn is_split(service: &OwnerRow) -> bool {
    service.epoch > Epoch::default()
}

/// A change of a row, as far as [`StreamState::treatment`] distinguishes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowChange {
    /// A row more.
    Insert,
    /// An update, a delete, a truncation.
    Other,
}

/// What becomes of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Treatment {
    /// It is made at the target, too.
    Apply,
    /// It does not flow.
    Skip,
    /// The same, and there should be none: it was made past the fence.
    Trespass,
}

//! Puts what arrives together into whole transactions of the source.
//!
//! Holds at most [`MOST_CHANGES`] changes or [`MOST_BYTES`] bytes: what is
//! more is written into the open target transaction at once, which ends with
//! the source transaction nevertheless.

use super::status::Gained;
use crate::{
    MoverError,
    apply::{change::Change, tables::Tables},
    pgoutput::LogicalMessage,
};
use protocol::{
    InstanceId, Lsn,
    stream::{MESSAGE_PREFIX, Message, StreamState},
};

/// Changes held before they are written.
pub(super) const MOST_CHANGES: usize = 10_000;

/// Bytes of values held before they are written.
pub(super) const MOST_BYTES: usize = 8 << 20;

/// What has come and is not yet in the target.
pub(super) struct Assembly {
    instance: InstanceId,
    own_origin: String,
    /// As of the last message read.
    pub(super) state: StreamState,
    pub(super) changes: Vec<Change>,
    bytes: usize,
    within: Within,
    /// Everything before has come, in whole transactions.
    pub(super) position: Lsn,
    /// Whether something is to be committed before the position may be told.
    pub(super) dirty: bool,
    pub(super) gained: Gained,
    warned: bool,
}

/// Where in the source's transactions the stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Nothing,
    /// A transaction of the source's own writers.
    Theirs,
    /// A transaction that we wrote at the source.
    Ours,
}

/// What is to be done about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Todo {
    /// Go on.
    Nothing,
    /// The changes held are many: write them.
    Write,
    /// Do not wait for more: commit.
    Commit,
}

impl Assembly {
    pub(super) fn new(
        instance: InstanceId,
        own_origin: String,
        state: StreamState,
        position: Lsn,
    ) -> Self {
        Self {
            instance,
            own_origin,
            state,
            changes: Vec::new(),
            bytes: 0,
            within: Within::Nothing,
            position,
            dirty: false,
            gained: Gained::default(),
            warned: false,
        }
    }

    /// Whether all that has come is whole transactions.
    pub(super) fn is_whole(&self) -> bool {
        self.within == Within::Nothing
    }

    /// Whether anything has come that is not in the target.
    pub(super) fn is_empty(&self) -> bool {
        self.is_whole() && !self.dirty
    }

    /// A transaction begins.
    pub(super) fn begin(&mut self) {
        self.within = Within::Theirs;
    }

    /// It was written by a replication.
    pub(super) fn origin(&mut self, name: &str) {
        if name == self.own_origin {
            self.within = Within::Ours;
        }
    }

    /// It ends.
    pub(super) fn commit(&mut self, end: Lsn, state_before: StreamState) -> Todo {
        self.within = Within::Nothing;
        self.position = self.position.max(end);
        self.gained.transactions += 1;
        // Somebody waits for each change of the state.
        if self.state == state_before {
            self.todo(Todo::Commit)
        } else {
            Todo::Commit
        }
    }

    /// The source has sent everything before this.
    pub(super) fn reached(&mut self, position: Lsn) {
        if self.is_whole() {
            self.position = self.position.max(position);
        }
    }

    /// Whether a row or a truncation that came is to be applied.
    pub(super) fn applies(&mut self) -> bool {
        if self.within == Within::Ours {
            return false;
        }
        if !self.state.applies() {
            // While waiting there may be rows, such as the copy's.
            if matches!(self.state, StreamState::Stopped(_)) {
                self.gained.discarded_rows += 1;
                if !self.warned {
                    self.warned = true;
                    tracing::warn!("a row was written behind the fence and is discarded");
                }
            }
            return false;
        }
        true
    }

    /// A row changed.
    pub(super) fn row(
        &mut self,
        message: LogicalMessage,
        tables: &Tables,
    ) -> Result<Todo, MoverError> {
        if let Some(change) = tables.change(message)? {
            self.bytes += change.len_bytes();
            self.changes.push(change);
            self.gained.rows += 1;
            self.dirty = true;
        }
        Ok(self.todo(Todo::Write))
    }

    /// A logical message: ours change the state.
    pub(super) fn message(&mut self, prefix: &str, content: &[u8]) -> Result<(), MoverError> {
        if prefix != MESSAGE_PREFIX {
            return Ok(());
        }
        match serde_json::from_slice::<Message>(content) {
            Ok(message) if message.instance == self.instance => {
                let after = self.state.after(&message);
                self.dirty |= after != self.state;
                self.state = after;
                Ok(())
            }
            Err(_) if names_instance(content, self.instance) => Err(MoverError::Data {
                object: "the change stream".to_owned(),
                problem: "a message of this extraction cannot be read".to_owned(),
                remedy: "Use the version of banyan that wrote it".to_owned(),
            }),
            // Another extraction's, or of somebody who uses our prefix.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The changes held were written.
    pub(super) fn written(&mut self) {
        self.changes.clear();
        self.bytes = 0;
    }

    /// Everything was committed, or nothing had to be.
    pub(super) fn settled(&mut self) -> Gained {
        self.dirty = false;
        std::mem::take(&mut self.gained)
    }

    fn todo(&self, full: Todo) -> Todo {
        if self.changes.len() >= MOST_CHANGES || self.bytes >= MOST_BYTES {
            full
        } else {
            Todo::Nothing
        }
    }
}

fn names_instance(content: &[u8], instance: InstanceId) -> bool {
    let value: Option<serde_json::Value> = serde_json::from_slice(content).ok();
    let named = value
        .as_ref()
        .and_then(|value| value.get("instance")?.as_str());
    named == Some(instance.to_string().as_str())
}

//! Assembles the source's transactions from the messages of the stream.
//!
//! Holds at most [`MOST_CHANGES`] changes or [`MOST_BYTES`] bytes. Beyond that
//! they are written into the open target transaction, which is committed only
//! where a source transaction ends.

use super::status::BatchCounts;
use crate::{
    apply::{change::Change, tables::Tables},
    error::MoverError,
    pgoutput::LogicalMessage,
};
use protocol::{
    InstanceId, Lsn,
    stream::{Direction, MESSAGE_PREFIX, Message, RowChange, StreamState, Treatment},
};

/// Changes held before they are written.
pub(super) const MOST_CHANGES: usize = 10_000;

/// Bytes of values held before they are written.
pub(super) const MOST_BYTES: usize = 8 << 20;

/// What was received and is not yet in the target.
pub(super) struct TransactionAssembler {
    instance: InstanceId,
    direction: Direction,
    own_origins: Vec<String>,
    /// As of the last message read.
    pub(super) state: StreamState,
    pub(super) changes: Vec<Change>,
    bytes: usize,
    writer: TransactionWriter,
    /// Where the transaction was committed whose messages are read.
    committed: Lsn,
    /// Everything before has come, in whole transactions.
    pub(super) position: Lsn,
    /// Whether something is to be committed before the position may be told.
    pub(super) dirty: bool,
    pub(super) counts: BatchCounts,
    warned: bool,
    /// Up to here each transaction is committed by itself: one of them failed.
    one_by_one: Lsn,
}

/// Whose transaction the messages read now belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TransactionWriter {
    /// Between two transactions.
    None,
    /// A transaction of the source's own writers.
    Application,
    /// A transaction that we wrote at the source.
    Mover,
}

/// What the loop does after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Go on.
    Nothing,
    /// The changes held are many: write them.
    Write,
    /// Do not wait for more: commit.
    Commit,
}

impl TransactionAssembler {
    pub(super) fn new(
        instance: InstanceId,
        direction: Direction,
        own_origins: Vec<String>,
        state: StreamState,
        position: Lsn,
        one_by_one: Lsn,
    ) -> Self {
        Self {
            instance,
            direction,
            own_origins,
            state,
            changes: Vec::new(),
            bytes: 0,
            writer: TransactionWriter::None,
            committed: Lsn::default(),
            position,
            dirty: false,
            counts: BatchCounts::default(),
            warned: false,
            one_by_one,
        }
    }

    /// Whether all that has come is whole transactions.
    pub(super) fn is_whole(&self) -> bool {
        self.writer == TransactionWriter::None
    }

    /// Whether anything has come that is not in the target.
    pub(super) fn is_empty(&self) -> bool {
        self.is_whole() && !self.dirty
    }

    /// A transaction begins, which was committed at a position.
    pub(super) fn begin(&mut self, committed: Lsn) {
        self.writer = TransactionWriter::Application;
        self.committed = committed;
    }

    /// It was written by a replication.
    pub(super) fn origin(&mut self, name: &str) {
        if self.own_origins.iter().any(|own| own == name) {
            self.writer = TransactionWriter::Mover;
        }
    }

    /// It ends: its commit is at a position, and all of it before another.
    pub(super) fn commit(&mut self, at: Lsn, end: Lsn, state_before: StreamState) -> Action {
        self.writer = TransactionWriter::None;
        self.position = self.position.max(end);
        self.counts.transactions += 1;
        // The conductor waits for each change of the state.
        if self.state == state_before && at > self.one_by_one {
            self.action_if_full(Action::Commit)
        } else {
            Action::Commit
        }
    }

    /// The source has sent everything before this.
    pub(super) fn reached(&mut self, position: Lsn) {
        if self.is_whole() {
            self.position = self.position.max(position);
        }
    }

    /// The part of a row's change or truncation that is to be applied. `split`:
    /// rows of split tables flow no more.
    pub(super) fn admitted(
        &mut self,
        message: LogicalMessage,
        tables: &Tables,
        split: bool,
    ) -> Option<LogicalMessage> {
        if self.writer == TransactionWriter::Mover {
            return None;
        }
        match message {
            LogicalMessage::Truncate {
                mut relations,
                options,
            } => {
                relations.retain(|&relation| self.flows(tables, relation, RowChange::Other, split));
                (!relations.is_empty()).then_some(LogicalMessage::Truncate { relations, options })
            }
            LogicalMessage::Insert { relation, .. } => self
                .flows(tables, relation, RowChange::Insert, split)
                .then_some(message),
            LogicalMessage::Update { relation, .. } | LogicalMessage::Delete { relation, .. } => {
                self.flows(tables, relation, RowChange::Other, split)
                    .then_some(message)
            }
            _ => None,
        }
    }

    fn flows(&mut self, tables: &Tables, relation: u32, change: RowChange, split: bool) -> bool {
        if tables.has(relation, self.committed) {
            return false;
        }
        let writes = tables.writes(relation);
        match self.state.treatment(self.direction, writes, change, split) {
            Treatment::Apply => true,
            // Expected, such as the copy's rows in `Waiting`.
            Treatment::Skip => false,
            Treatment::Trespass => {
                self.counts.discarded_rows += 1;
                // To be remembered before the position may be told.
                self.dirty = true;
                if !self.warned {
                    self.warned = true;
                    tracing::warn!("a row was written behind the fence and is discarded");
                }
                false
            }
        }
    }

    /// A row changed.
    pub(super) fn row(
        &mut self,
        message: LogicalMessage,
        tables: &Tables,
    ) -> Result<Action, MoverError> {
        if let Some(change) = tables.change(message)? {
            self.bytes += change.len_bytes();
            self.changes.push(change);
            self.counts.rows += 1;
            self.dirty = true;
        }
        Ok(self.action_if_full(Action::Write))
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
            // Another extraction's, or of other software that uses our prefix.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The changes held were written.
    pub(super) fn written(&mut self) {
        self.changes.clear();
        self.bytes = 0;
    }

    /// Everything was committed, or nothing had to be.
    pub(super) fn committed(&mut self) -> BatchCounts {
        self.dirty = false;
        std::mem::take(&mut self.counts)
    }

    fn action_if_full(&self, full: Action) -> Action {
        if self.changes.len() >= MOST_CHANGES || self.bytes >= MOST_BYTES {
            full
        } else {
            Action::Nothing
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

//! One side's database: its row, its log, and what is stored in it.

use crate::world::Bug;
use plan::TableWrites;
use protocol::{
    ConductorId, Epoch, Generation, InstanceId, Nonce, Side,
    owner::{Claim, Decision, Outcome, Owner, OwnerRow},
    stream::{Direction, Message, MessageKind, RowChange, StreamState, Treatment, is_split},
};
use std::collections::BTreeMap;
use uuid::Uuid;

pub type WriteId = u64;

pub const INSTANCE: InstanceId = InstanceId(Uuid::from_u128(1));

#[derive(Debug, Clone, Copy)]
pub enum Entry {
    Write {
        id: WriteId,
        ours: bool,
    },
    /// Of the tables that both sides write.
    Shared {
        id: WriteId,
        what: SharedWrite,
        ours: bool,
    },
    Message(Message),
}

/// A write to a table that both sides write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedWrite {
    /// A row more in a table that both append to.
    Append,
    /// The row `id` of that table gets this value.
    Amend(WriteId),
    /// A row more in a table of which each side keeps its own.
    Split,
}

impl SharedWrite {
    fn kind(self) -> (TableWrites, RowChange) {
        match self {
            Self::Append => (TableWrites::Append, RowChange::Insert),
            Self::Amend(_) => (TableWrites::Append, RowChange::Other),
            Self::Split => (TableWrites::Split, RowChange::Insert),
        }
    }
}

/// The incoming stream's row: state and position are changed together.
#[derive(Debug, Clone, Copy)]
pub struct Incoming {
    pub state: StreamState,
    pub position: usize,
}

#[derive(Debug)]
pub struct Database {
    pub side: Side,
    pub row: OwnerRow,
    pub log: Vec<Entry>,
    pub rows: BTreeMap<WriteId, u32>,
    /// One row that every write changes: the last one must win on both sides.
    pub register: WriteId,
    /// The table that both sides append to: a value for each row.
    pub appended: BTreeMap<WriteId, WriteId>,
    /// The table of which each side keeps its own after the first switch.
    pub split: BTreeMap<WriteId, u32>,
    /// What of the stream did not fit: a row doubled, or amended before it came.
    pub misfit: Option<String>,
    /// Transactions that have passed the fence and not committed: they hold
    /// the table's lock.
    pub writers: Vec<WriteId>,
    pub incoming: Incoming,
    pub bug: Option<Bug>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Another generation has claimed the row.
    Superseded,
    /// The row is not what the step needs.
    Stale,
    /// The lock was not to be had in time.
    Busy,
}

impl Database {
    pub fn new(side: Side, bug: Option<Bug>) -> Self {
        let row = OwnerRow {
            owner: Owner::Monolith,
            epoch: Epoch(0),
            generation: Generation(0),
            conductor: ConductorId(Uuid::nil()),
            instance: INSTANCE,
            nonce: Nonce(Uuid::nil()),
        };
        let state = match side {
            Side::Service => StreamState::Applying(Epoch(0)),
            Side::Monolith => StreamState::Waiting,
        };
        Self {
            side,
            row,
            log: Vec::new(),
            rows: BTreeMap::new(),
            register: 0,
            appended: BTreeMap::new(),
            split: BTreeMap::new(),
            misfit: None,
            writers: Vec::new(),
            incoming: Incoming { state, position: 0 },
            bug,
        }
    }

    pub fn claim(&mut self, conductor: ConductorId) -> Claim {
        self.row.conductor = conductor;
        self.row.generation = Generation(self.row.generation.0 + 1);
        Claim {
            conductor,
            generation: self.row.generation,
        }
    }

    fn checked(&self, claim: Claim) -> Result<(), Refused> {
        let same = self.row.conductor == claim.conductor && self.row.generation == claim.generation;
        if same || self.bug == Some(Bug::ForgottenGeneration) {
            Ok(())
        } else {
            Err(Refused::Superseded)
        }
    }

    /// A user's transaction meets the fence.
    pub fn begin(&mut self, id: WriteId) -> bool {
        let passes = self.row.owner == self.side.into()
            || (self.bug == Some(Bug::FenceLetsNobodyPass) && self.row.owner == Owner::Nobody);
        if passes {
            self.writers.push(id);
        }
        passes
    }

    pub fn commit(&mut self, id: WriteId) {
        self.writers.retain(|open| *open != id);
        *self.rows.entry(id).or_default() += 1;
        self.register = id;
        self.log.push(Entry::Write { id, ours: false });
    }

    /// A user's transaction that writes a shared table, begun and ended in one
    /// step: the fence lets appending pass always, amending only where the side
    /// owns, and a split table's rows at the service once it has owned.
    pub fn write_shared(&mut self, id: WriteId, what: SharedWrite) -> bool {
        let passes = match what {
            SharedWrite::Append => true,
            SharedWrite::Amend(_) => {
                self.row.owner == self.side.into() && self.appended.contains_key(&id)
            }
            SharedWrite::Split => self.side == Side::Monolith || is_split(&self.row),
        };
        if passes {
            self.store(id, what, false);
        }
        passes
    }

    fn store(&mut self, id: WriteId, what: SharedWrite, ours: bool) {
        let side = self.side;
        match what {
            SharedWrite::Append => {
                if self.appended.insert(id, 0).is_some() {
                    self.misfit = Some(format!("row {id} was appended twice in the {side}"));
                }
            }
            SharedWrite::Amend(value) => match self.appended.get_mut(&id) {
                Some(row) => *row = value,
                None => {
                    self.misfit =
                        Some(format!("row {id} was amended before it came to the {side}"));
                }
            },
            SharedWrite::Split => *self.split.entry(id).or_default() += 1,
        }
        self.log.push(Entry::Shared { id, what, ours });
    }

    pub fn fence(&mut self, claim: Claim, epoch: Epoch, nonce: Nonce) -> Result<(), Refused> {
        let waits = self.bug != Some(Bug::FenceWithoutLock);
        if waits && !self.writers.is_empty() {
            return Err(Refused::Busy);
        }
        self.checked(claim)?;
        if self.row.owner == Owner::Nobody && self.row.epoch == epoch && self.row.nonce == nonce {
            return Ok(());
        }
        if self.row.epoch >= epoch || self.row.owner != self.side.into() {
            return Err(Refused::Stale);
        }
        self.set(Owner::Nobody, epoch, nonce);
        self.say(MessageKind::Mark);
        Ok(())
    }

    pub fn decide(
        &mut self,
        claim: Claim,
        epoch: Epoch,
        nonce: Nonce,
        wanted: Outcome,
    ) -> Result<Outcome, Refused> {
        self.checked(claim)?;
        match self.row.decide(self.side, epoch, wanted) {
            Decision::Set(owner) => {
                self.set(owner, epoch, nonce);
                if wanted == Outcome::Aborted && self.bug != Some(Bug::AbortWithoutOpening) {
                    self.say(MessageKind::Open);
                }
                Ok(wanted)
            }
            Decision::Already(outcome) => Ok(outcome),
            Decision::NeverFenced | Decision::Superseded => Err(Refused::Stale),
        }
    }

    pub fn open(&mut self, claim: Claim, epoch: Epoch, nonce: Nonce) -> Result<(), Refused> {
        self.checked(claim)?;
        if self.row.epoch == epoch && self.row.owner == self.side.into() {
            return Ok(());
        }
        if self.row.epoch >= epoch {
            return Err(Refused::Stale);
        }
        self.set(self.side.into(), epoch, nonce);
        self.say(MessageKind::Open);
        Ok(())
    }

    fn set(&mut self, owner: Owner, epoch: Epoch, nonce: Nonce) {
        self.row = OwnerRow {
            owner,
            epoch,
            nonce,
            ..self.row
        };
    }

    fn say(&mut self, kind: MessageKind) {
        let (epoch, nonce) = (self.row.epoch, self.row.nonce);
        self.log.push(Entry::Message(Message {
            instance: INSTANCE,
            epoch,
            nonce,
            kind,
        }));
    }

    /// Applies the next entry of the other side's log, in one transaction
    /// with the position. `forget`: the position is not stored (a bug).
    pub fn apply(&mut self, source: &[Entry], claim: Claim, forget: bool) -> Result<bool, Refused> {
        self.checked(claim)?;
        let Some(entry) = source.get(self.incoming.position) else {
            return Ok(false);
        };
        let direction = Direction::from_source(self.side.other());
        let state = self.incoming.state;
        match *entry {
            Entry::Write { id, ours } => {
                // The states break loops already: while one direction applies,
                // the other does not. The origin guards repairs besides.
                let treatment =
                    state.treatment(direction, TableWrites::Owner, RowChange::Insert, false);
                if treatment == Treatment::Apply && !ours {
                    *self.rows.entry(id).or_default() += 1;
                    self.register = id;
                    self.log.push(Entry::Write { id, ours: true });
                }
            }
            Entry::Shared { id, what, ours } => {
                let (writes, change) = what.kind();
                let writes = match self.bug {
                    Some(Bug::AppendsFollowTheState) if writes == TableWrites::Append => {
                        TableWrites::Owner
                    }
                    _ => writes,
                };
                let split = is_split(&self.row) && self.bug != Some(Bug::SplitForgotten);
                let treatment = state.treatment(direction, writes, change, split);
                let loops = self.bug == Some(Bug::OriginIgnored);
                if treatment == Treatment::Apply && (!ours || loops) {
                    self.store(id, what, true);
                }
            }
            Entry::Message(message) => self.incoming.state = state.after(&message),
        }
        if !forget {
            self.incoming.position += 1;
        }
        Ok(true)
    }
}

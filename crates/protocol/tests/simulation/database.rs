//! One side's database: its row, its fence, its log, and what is stored in it.
//!
//! Each function is one transaction: it happens whole or not at all.

use crate::bug::Bug;
use plan::TableWrites;
use protocol::{
    ConductorId, Epoch, Generation, HandoverId, InstanceId, Nonce, Side,
    owner::{Claim, Decision, Opening, Outcome, Owner, OwnerRow},
    stream::{Direction, Message, MessageKind, RowChange, StreamState, Treatment, is_split},
};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

pub type WriteId = u16;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Incoming {
    pub state: StreamState,
    pub position: usize,
}

/// What the tables hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Tables {
    /// Of the owner's table: how often each row is there.
    pub rows: BTreeMap<WriteId, u8>,
    /// One row that every write changes: the last one must win on both sides.
    pub register: WriteId,
    /// The table that both sides append to: a value for each row.
    pub appended: BTreeMap<WriteId, WriteId>,
    /// The table of which each side keeps its own after the first switch.
    pub split: BTreeMap<WriteId, u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Database {
    pub side: Side,
    /// None before the extraction is prepared, and after it was cancelled.
    pub row: Option<OwnerRow>,
    /// Whether the fence's triggers are there.
    pub fence: bool,
    pub log: Vec<Entry>,
    pub tables: Tables,
    /// The conflict that a stream met: a row doubled, or amended before it came.
    pub conflict: Option<&'static str>,
    /// Transactions that have passed the fence and not committed: they hold
    /// the table's lock.
    pub writers: BTreeSet<WriteId>,
    pub incoming: Option<Incoming>,
    /// How much of this log its reader has said to be stored: what is before is gone.
    pub confirmed: usize,
    pub bug: Option<Bug>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refused {
    /// Another generation has claimed the row.
    Superseded,
    /// The row is not what the step needs.
    Stale,
    /// The row is further than the hand-over, another life's or gone: another conductor has
    /// gone on.
    Ahead,
    /// The lock was not to be had in time.
    Busy,
}

impl Database {
    pub fn new(side: Side, bug: Option<Bug>) -> Self {
        Self {
            side,
            row: None,
            fence: false,
            log: Vec::new(),
            tables: Tables::default(),
            conflict: None,
            writers: BTreeSet::new(),
            incoming: None,
            confirmed: 0,
            bug,
        }
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    pub fn owner(&self) -> Option<Owner> {
        self.row.map(|row| row.owner)
    }

    fn owns(&self) -> bool {
        self.owner() == Some(self.side.into())
    }

    /// Whether a write passes now.
    pub fn accepts(&self) -> bool {
        !self.fence || self.owns()
    }

    /// A new generation, after which whoever claimed before is refused.
    pub fn claim(&mut self, conductor: ConductorId) -> Option<(OwnerRow, Claim)> {
        let row = self.row.as_mut()?;
        row.conductor = conductor;
        row.generation = Generation(row.generation.0 + 1);
        let claim = Claim {
            conductor,
            generation: row.generation,
        };
        Some((*row, claim))
    }

    fn locked(&self, claim: Claim, instance: InstanceId) -> Result<OwnerRow, Refused> {
        let row = self.row.ok_or(Refused::Ahead)?;
        let same = row.conductor == claim.conductor && row.generation == claim.generation;
        if !same && !self.has(Bug::ForgottenGeneration) {
            return Err(Refused::Superseded);
        }
        if row.instance != instance {
            return Err(Refused::Ahead);
        }
        Ok(row)
    }

    /// Inserts the row, or finds it; the service's tables are fenced with it.
    pub fn prepare(
        &mut self,
        instance: InstanceId,
        conductor: ConductorId,
    ) -> Result<Claim, Refused> {
        let row = self.row.get_or_insert(OwnerRow {
            owner: Owner::Monolith,
            epoch: Epoch(0),
            generation: Generation(1),
            conductor,
            instance,
            nonce: Nonce(Uuid::nil()),
        });
        if row.instance != instance {
            return Err(Refused::Stale);
        }
        if row.owner == Owner::Monolith {
            self.fence |= self.side == Side::Service;
        }
        self.claim(conductor)
            .map(|(_, claim)| claim)
            .ok_or(Refused::Superseded)
    }

    /// The way back is prepared: the monolith waits for an opening in the service's log.
    pub fn wait_for(&mut self, source: &mut Self) {
        if self.incoming.is_none() {
            let position = source.log.len();
            let state = StreamState::Waiting;
            self.incoming = Some(Incoming { state, position });
            source.confirmed = position;
        }
    }

    /// The first copy, and where following begins. It is never made twice.
    pub fn copy(
        &mut self,
        source: &mut Self,
        claim: Claim,
        instance: InstanceId,
    ) -> Result<(), Refused> {
        self.locked(claim, instance)?;
        if self.incoming.is_some() {
            return Ok(());
        }
        if !self.has(Bug::SwitchBeforeCopy) {
            self.tables = source.tables.clone();
        }
        let position = source.log.len();
        let state = StreamState::Applying(Epoch(0));
        self.incoming = Some(Incoming { state, position });
        source.confirmed = position;
        Ok(())
    }

    /// A user's transaction meets the fence. `saw`: whether the row let it pass when its
    /// snapshot was taken.
    pub fn write(&mut self, id: WriteId, saw: bool) -> bool {
        let passes = match self.owner() {
            _ if !self.fence => true,
            _ if self.has(Bug::SnapshotRead) => saw,
            Some(Owner::Nobody) => self.has(Bug::FenceLetsNobodyPass),
            _ => self.owns(),
        };
        if passes {
            self.writers.insert(id);
        }
        passes
    }

    pub fn commit(&mut self, id: WriteId) {
        self.writers.remove(&id);
        self.insert(id);
        self.log.push(Entry::Write { id, ours: false });
    }

    fn insert(&mut self, id: WriteId) {
        let count = self.tables.rows.entry(id).or_default();
        *count += 1;
        if *count > 1 {
            self.conflict = Some("a write is there twice");
        }
        self.tables.register = id;
    }

    /// A user's transaction that writes a shared table, begun and ended in one
    /// step: the fence lets appending pass always, amending only where the side
    /// owns, and a split table's rows at the service once it has owned.
    pub fn write_shared(&mut self, id: WriteId, what: SharedWrite) -> bool {
        let passes = match what {
            SharedWrite::Append => true,
            SharedWrite::Amend(_) => {
                (self.owns() || self.row.is_none()) && self.tables.appended.contains_key(&id)
            }
            SharedWrite::Split => {
                self.side == Side::Monolith || self.row.as_ref().is_some_and(is_split)
            }
        };
        if passes {
            self.store(id, what, false);
        }
        passes
    }

    fn store(&mut self, id: WriteId, what: SharedWrite, ours: bool) {
        match what {
            SharedWrite::Append => {
                if self.tables.appended.insert(id, 0).is_some() {
                    self.conflict = Some("a row was appended twice");
                }
            }
            SharedWrite::Amend(value) => match self.tables.appended.get_mut(&id) {
                Some(row) => *row = value,
                None => self.conflict = Some("a row was amended before it came"),
            },
            SharedWrite::Split => *self.tables.split.entry(id).or_default() += 1,
        }
        self.log.push(Entry::Shared { id, what, ours });
    }

    pub fn fence(&mut self, claim: Claim, id: &HandoverId) -> Result<(), Refused> {
        if self.has(Bug::MarkBeforeLock) {
            let row = self.locked(claim, id.instance)?;
            if row.owner == Owner::from(self.side) && row.epoch < id.epoch {
                self.say_once(id, MessageKind::Mark);
            }
        }
        if !self.has(Bug::FenceWithoutLock) && !self.writers.is_empty() {
            return Err(Refused::Busy);
        }
        let row = self.locked(claim, id.instance)?;
        if row.owner == Owner::Nobody && row.epoch == id.epoch && row.nonce == id.nonce {
            return Ok(());
        }
        if row.epoch >= id.epoch || row.owner != self.side.into() {
            return Err(Refused::Stale);
        }
        self.fence = true;
        self.set(Owner::Nobody, id);
        self.say_once(id, MessageKind::Mark);
        Ok(())
    }

    pub fn decide(
        &mut self,
        claim: Claim,
        id: &HandoverId,
        wanted: Outcome,
    ) -> Result<Outcome, Refused> {
        let row = self.locked(claim, id.instance)?;
        let abort = Decision::Set(self.side.into());
        let decision = match row.decide(id, wanted) {
            Decision::Already(Outcome::Committed)
                if wanted == Outcome::Aborted && self.has(Bug::AbortAfterCommit) =>
            {
                abort
            }
            decision => decision,
        };
        match decision {
            Decision::Set(owner) => {
                self.set(owner, id);
                if wanted == Outcome::Aborted && !self.has(Bug::AbortWithoutOpening) {
                    self.say(id, MessageKind::Open);
                }
                Ok(wanted)
            }
            Decision::Already(outcome) => Ok(outcome),
            Decision::NeverFenced => Err(Refused::Stale),
            Decision::Superseded => Err(Refused::Ahead),
        }
    }

    pub fn open(&mut self, claim: Claim, id: &HandoverId) -> Result<(), Refused> {
        let row = self.locked(claim, id.instance)?;
        match row.open(id) {
            Opening::Set => {
                self.set(self.side.into(), id);
                self.say(id, MessageKind::Open);
                Ok(())
            }
            Opening::Already => Ok(()),
            Opening::Superseded => Err(Refused::Ahead),
        }
    }

    /// Takes the fence's triggers from the side that owns.
    pub fn unfence(&mut self, claim: Claim, instance: InstanceId) -> Result<(), Refused> {
        if self.has(Bug::UnfenceWithoutLooking) {
            self.fence = false;
            return Ok(());
        }
        let row = self.locked(claim, instance)?;
        if row.owner == self.side.into() {
            self.fence = false;
        }
        Ok(())
    }

    /// Takes everything of ours away, of whatever life. The service's tables are emptied:
    /// what was in them is the monolith's.
    pub fn clear(&mut self, claim: Claim) -> Result<(), Refused> {
        let Some(row) = self.row else {
            return Ok(());
        };
        if self.locked(claim, row.instance)?.owner != Owner::Monolith {
            return Err(Refused::Stale);
        }
        if self.side == Side::Service {
            self.tables = Tables::default();
        }
        self.row = None;
        self.fence = false;
        self.incoming = None;
        Ok(())
    }

    fn set(&mut self, owner: Owner, id: &HandoverId) {
        if let Some(row) = &mut self.row {
            row.owner = owner;
            row.epoch = id.epoch;
            row.nonce = id.nonce;
        }
    }

    fn say(&mut self, id: &HandoverId, kind: MessageKind) {
        self.log.push(Entry::Message(Message::of(id, kind)));
    }

    fn say_once(&mut self, id: &HandoverId, kind: MessageKind) {
        let message = Entry::Message(Message::of(id, kind));
        if !self.log.contains(&message) {
            self.log.push(message);
        }
    }

    /// Applies what a follower has received of the other side's log, from where its
    /// stream was opened, in one transaction with the position. `forget`: the position
    /// is not stored (a bug).
    pub fn apply(
        &mut self,
        (source, opened, until): (&[Entry], usize, usize),
        claim: Claim,
        instance: InstanceId,
        forget: bool,
    ) -> Result<(), Refused> {
        let row = self.locked(claim, instance)?;
        let Some(mut incoming) = self.incoming else {
            return Err(Refused::Superseded);
        };
        let split = is_split(&row);
        let from = incoming.position.max(opened);
        for entry in source.get(from..until).unwrap_or_default() {
            incoming.state = self.applied(*entry, incoming.state, instance, split);
        }
        if !forget {
            incoming.position = until.max(from);
        }
        self.incoming = Some(incoming);
        Ok(())
    }

    /// Applies one entry, and says the state of the stream after it.
    fn applied(
        &mut self,
        entry: Entry,
        state: StreamState,
        instance: InstanceId,
        split: bool,
    ) -> StreamState {
        let direction = Direction::from_source(self.side.other());
        match entry {
            Entry::Write { id, ours } => {
                // The states break loops already: while one direction applies,
                // the other does not. The origin guards repairs besides.
                let treatment =
                    state.treatment(direction, TableWrites::Owner, RowChange::Insert, false);
                if treatment == Treatment::Apply && !ours {
                    self.insert(id);
                    self.log.push(Entry::Write { id, ours: true });
                }
            }
            Entry::Shared { id, what, ours } => {
                let (writes, change) = what.kind();
                let writes = match writes {
                    TableWrites::Append if self.has(Bug::AppendsFollowTheState) => {
                        TableWrites::Owner
                    }
                    writes => writes,
                };
                let split = split && !self.has(Bug::SplitForgotten);
                let treatment = state.treatment(direction, writes, change, split);
                let loops = self.has(Bug::OriginIgnored);
                if treatment == Treatment::Apply && (!ours || loops) {
                    self.store(id, what, true);
                }
            }
            Entry::Message(message) if message.instance == instance => {
                return state.after(&message);
            }
            Entry::Message(_) => {}
        }
        state
    }
}

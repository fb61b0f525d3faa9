//! Everything together, and the dice.

use crate::{
    auditor::Auditor,
    conductor::{Call, Conductor, What, claim_of},
    database::{Database, Refused, SharedWrite, WriteId},
    gateway::{Gateway, Route},
};
use protocol::{
    Nonce, Side,
    handover::{Effect, Input},
    lifecycle::{Command, Lifecycle},
    owner::{Claim, Outcome},
    reconcile::Refusal,
    stream::{StreamState, is_split},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Duration;
use uuid::Uuid;

/// A mistake that the simulation must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    FenceLetsNobodyPass,
    FenceWithoutLock,
    ForgottenGeneration,
    AbortWithoutOpening,
    CommitBeforeCaughtUp,
    PositionNotAtomic,
    AppendsFollowTheState,
    OriginIgnored,
    SplitForgotten,
    RehearsalCommits,
}

impl Bug {
    pub const ALL: [Self; 10] = [
        Self::FenceLetsNobodyPass,
        Self::FenceWithoutLock,
        Self::ForgottenGeneration,
        Self::AbortWithoutOpening,
        Self::CommitBeforeCaughtUp,
        Self::PositionNotAtomic,
        Self::AppendsFollowTheState,
        Self::OriginIgnored,
        Self::SplitForgotten,
        Self::RehearsalCommits,
    ];
}

#[derive(Debug, Default, Clone)]
pub struct Summary {
    pub committed: u64,
    pub aborted: u64,
    /// Rehearsals that got as far as the commit point.
    pub rehearsed: u64,
    pub acknowledged: u64,
    pub restarts: u64,
    pub late_calls: u64,
    pub appended: u64,
    /// Rows of a split table, written after the split.
    pub kept: u64,
}

impl Summary {
    pub fn add(&mut self, other: &Self) {
        self.committed += other.committed;
        self.aborted += other.aborted;
        self.rehearsed += other.rehearsed;
        self.acknowledged += other.acknowledged;
        self.restarts += other.restarts;
        self.late_calls += other.late_calls;
        self.appended += other.appended;
        self.kept += other.kept;
    }
}

/// A follower of one direction; `claim` is the one it was started with.
struct Follower {
    from: Side,
    claim: Claim,
}

pub struct World {
    dice: ChaCha8Rng,
    bug: Option<Bug>,
    databases: [Database; 2],
    gateways: Vec<Gateway>,
    conductor: Conductor,
    followers: Vec<Follower>,
    calls: Vec<Call>,
    auditor: Auditor,
    faults: bool,
    /// Of the steps that may be a fault, how many are: some seeds are calm.
    fault_rate: u32,
    next_write: WriteId,
    /// Writes past the fence whose client may no longer be there.
    background: Vec<WriteId>,
    refusal: Option<String>,
    summary: Summary,
}

fn at(side: Side) -> usize {
    usize::from(side == Side::Service)
}

impl World {
    pub fn new(seed: u64, bug: Option<Bug>) -> Self {
        let mut databases = Side::BOTH.map(|side| Database::new(side, bug));
        let conductor = Conductor::start(&mut databases);
        let mut world = Self {
            dice: ChaCha8Rng::seed_from_u64(seed),
            bug,
            databases,
            gateways: (0..3).map(Gateway::new).collect(),
            conductor,
            followers: Vec::new(),
            calls: Vec::new(),
            auditor: Auditor::default(),
            faults: true,
            fault_rate: [1, 5, 20, 60][usize::try_from(seed % 4).unwrap_or(0)],
            next_write: 1,
            background: Vec::new(),
            refusal: None,
            summary: Summary::default(),
        };
        world.start_followers();
        world
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.dice.random_range(0..100) < percent
    }

    fn pick(&mut self, count: usize) -> usize {
        self.dice.random_range(0..count)
    }

    /// Followers of earlier runs go on: they are the zombies.
    fn start_followers(&mut self) {
        for from in Side::BOTH {
            let claim = claim_of(&self.conductor.claims, from.other());
            self.followers.push(Follower { from, claim });
        }
    }

    pub fn step(&mut self) {
        match self.dice.random_range(0..100) {
            0..11 => self.client_writes(),
            11 => self.shared_write(),
            12..14 => self.background_writes(),
            14..34 => self.write_ends(),
            34..58 => self.follow(),
            58..70 => self.publish(),
            70..80 => self.gateways_answer(),
            80..86 => self.call(),
            86..95 => self.deliver(),
            95 => self.conductor.tick(),
            96..98 => self.operator(),
            _ => self.fault(),
        }
        self.readiness();
    }

    fn client_writes(&mut self) {
        let id = self.next_write;
        self.next_write += 1;
        let gateway = self.pick(self.gateways.len());
        match self.gateways[gateway].route(id) {
            Route::Send(side) => self.send(gateway, id, side),
            Route::Held => {}
            Route::Refused => self.auditor.refused(id),
        }
    }

    fn send(&mut self, gateway: usize, id: WriteId, side: Side) {
        if self.databases[at(side)].begin(id) {
            self.gateways[gateway].in_flight.push((id, side));
        } else {
            self.auditor.refused(id);
        }
    }

    fn background_writes(&mut self) {
        let id = self.next_write;
        self.next_write += 1;
        if self.databases[at(Side::Monolith)].begin(id) {
            self.background.push(id);
        } else {
            self.auditor.refused(id);
        }
    }

    /// Either side writes a table that both write.
    fn shared_write(&mut self) {
        let side = Side::BOTH[self.pick(2)];
        let what = match self.pick(3) {
            0 => SharedWrite::Append,
            1 => SharedWrite::Amend(self.next_write),
            _ => SharedWrite::Split,
        };
        let rows = &self.databases[at(side)].appended;
        let id = match what {
            SharedWrite::Amend(_) if rows.is_empty() => return,
            // One of the latest: it may just have come from the other side.
            SharedWrite::Amend(_) => {
                let latest: Vec<WriteId> = rows.keys().rev().take(3).copied().collect();
                latest[self.pick(latest.len())]
            }
            SharedWrite::Append | SharedWrite::Split => self.next_write,
        };
        self.next_write += 1;
        let split = is_split(&self.databases[at(Side::Service)].row);
        if !self.databases[at(side)].write_shared(id, what) {
            return;
        }
        match what {
            SharedWrite::Append => self.auditor.appended(id),
            SharedWrite::Amend(_) => {}
            SharedWrite::Split => self.auditor.split(id, side, split),
        }
    }

    /// A transaction commits; usually its client hears of it.
    fn write_ends(&mut self) {
        if self.chance(20) && !self.background.is_empty() {
            let id = self.background.swap_remove(0);
            let side = Side::BOTH
                .into_iter()
                .find(|side| self.databases[at(*side)].writers.contains(&id));
            if let Some(side) = side {
                self.databases[at(side)].commit(id);
                self.auditor.acknowledged(id);
            }
            return;
        }
        let gateway = self.pick(self.gateways.len());
        if self.gateways[gateway].in_flight.is_empty() {
            return;
        }
        let (id, side) = self.gateways[gateway].in_flight.remove(0);
        self.databases[at(side)].commit(id);
        if !(self.faults && self.chance(5)) {
            self.auditor.acknowledged(id);
        }
    }

    fn follow(&mut self) {
        let follower = self.pick(self.followers.len());
        let Follower { from, claim } = self.followers[follower];
        let forget = self.bug == Some(Bug::PositionNotAtomic) && self.chance(2);
        let (monolith, service) = self.databases.split_at_mut(1);
        let (source, target) = match from {
            Side::Monolith => (&monolith[0], &mut service[0]),
            Side::Service => (&service[0], &mut monolith[0]),
        };
        if target.apply(&source.log, claim, forget) == Err(Refused::Superseded) {
            self.followers.swap_remove(follower);
        }
    }

    /// A gateway learns the routing, or (a fault) an older one.
    fn publish(&mut self) {
        let gateway = self.pick(self.gateways.len());
        let turn = self.conductor.claims[0].generation;
        let released = self.gateways[gateway].take(turn, self.conductor.state.routing());
        for id in released {
            match self.gateways[gateway].route(id) {
                Route::Send(side) => self.send(gateway, id, side),
                Route::Held | Route::Refused => {}
            }
        }
    }

    fn gateways_answer(&mut self) {
        let Lifecycle::HandingOver { handover, .. } = &self.conductor.state else {
            return;
        };
        let Effect::Hold { missing } = handover.due() else {
            return;
        };
        let epoch = handover.epoch();
        let gateway = self.pick(self.gateways.len());
        let gateway = &self.gateways[gateway];
        if missing.contains(&gateway.id) && gateway.drained(epoch) {
            let id = gateway.id;
            self.conductor.feed(Input::Held(id));
        }
    }

    /// Looking and the weak lock change nothing, so they are one step here.
    fn readiness(&mut self) {
        let Lifecycle::HandingOver { handover, .. } = &self.conductor.state else {
            return;
        };
        match handover.due() {
            Effect::CheckReady => self.conductor.feed(Input::Ready),
            Effect::LockWeakly => {
                let gateways = self.gateways.iter().map(|gateway| gateway.id).collect();
                let now = protocol::Millis(self.conductor.now);
                // Ticks of the simulation's clock.
                let hold = Duration::from_millis(20);
                self.conductor.feed(Input::Locked {
                    now,
                    hold,
                    gateways,
                });
            }
            _ => {}
        }
    }

    fn call(&mut self) {
        if let Some(mut call) = self.conductor.due_call() {
            let commits = self.bug == Some(Bug::RehearsalCommits) && self.conductor.rehearses();
            if commits && matches!(call.what, What::Decide(_)) {
                call.what = What::Decide(Outcome::Committed);
            }
            self.calls.push(call);
        }
    }

    /// A call reaches its database: once, twice, late, or with its reply lost.
    fn deliver(&mut self) {
        if self.calls.is_empty() {
            return;
        }
        let at = self.pick(self.calls.len());
        let call = if self.faults && self.chance(15) {
            self.calls[at]
        } else {
            self.calls.swap_remove(at)
        };
        if self.conductor.awaited != Some(call.number) {
            self.summary.late_calls += 1;
        }
        let input = self.execute(call);
        let lost = self.faults && self.chance(15);
        if lost || self.conductor.awaited != Some(call.number) {
            return;
        }
        self.conductor.awaited = None;
        if let Some(input) = input {
            self.answer(&input);
        }
    }

    fn answer(&mut self, input: &Input) {
        let ends = matches!(input, Input::Opened | Input::Decided(Outcome::Aborted));
        let before = self.conductor.state.owned().is_some();
        let rehearses = self.conductor.rehearses();
        self.conductor.feed(input.clone());
        if ends && !before && self.conductor.state.owned().is_some() {
            match input {
                Input::Opened => self.summary.committed += 1,
                _ if rehearses && self.conductor.has_rehearsed() => self.summary.rehearsed += 1,
                _ => self.summary.aborted += 1,
            }
        }
    }

    /// `None`: asked again later.
    fn execute(&mut self, call: Call) -> Option<Input> {
        let database = &mut self.databases[at(call.side)];
        let failed = |refused: Refused| Some(Input::Failed(format!("{refused:?}")));
        match call.what {
            What::Fence => match database.fence(call.claim, call.epoch, call.nonce) {
                Ok(()) => Some(Input::Fenced),
                Err(Refused::Busy) => None,
                Err(refused) => failed(refused),
            },
            What::CatchUp => {
                let there = database.incoming.state == StreamState::Stopped(call.epoch);
                let hurried = self.bug == Some(Bug::CommitBeforeCaughtUp);
                (there || hurried).then_some(Input::CaughtUp)
            }
            What::Decide(wanted) => {
                match database.decide(call.claim, call.epoch, call.nonce, wanted) {
                    Ok(outcome) => Some(Input::Decided(outcome)),
                    Err(refused) => failed(refused),
                }
            }
            What::Open => match database.open(call.claim, call.epoch, call.nonce) {
                Ok(()) => Some(Input::Opened),
                Err(refused) => failed(refused),
            },
        }
    }

    fn operator(&mut self) {
        if let Some(owned) = self.conductor.state.owned().copied() {
            let to = owned.by.other();
            let nonce = Nonce(Uuid::from_u128(self.dice.random()));
            if self.chance(20) {
                self.auditor.rehearses(nonce, owned.by);
                self.conductor.command(Command::Rehearse { nonce });
            } else {
                self.conductor.command(Command::HandOver { to, nonce });
            }
        } else if self.chance(3) {
            self.conductor
                .feed(Input::Failed("the operator wants it so".to_owned()));
        }
    }

    fn fault(&mut self) {
        if !self.faults || !self.chance(self.fault_rate) {
            return;
        }
        match self.dice.random_range(0..10) {
            0..3 => self.restart(),
            3..5 => self.gateway_dies(),
            5..8 => self.conductor.awaited = None,
            8 => {
                // The answer does not come: given up, but still on its way.
                self.conductor.awaited = None;
                self.conductor.feed(Input::Failed("no answer".to_owned()));
            }
            _ => self.hold_expires(),
        }
    }

    fn restart(&mut self) {
        let lost = self.chance(10);
        self.restart_conductor(lost);
        self.summary.restarts += 1;
    }

    fn restart_conductor(&mut self, journal_lost: bool) {
        let side = Side::BOTH[self.pick(2)];
        let silent = (self.faults && self.chance(20)).then_some(side);
        let mut started = self
            .conductor
            .restart(&mut self.databases, journal_lost, silent);
        if let Err(Refusal::Unreachable(_)) = started {
            // It tries again until the side answers.
            started = self.conductor.restart(&mut self.databases, false, None);
        }
        if let Err(refusal) = started {
            self.refusal = Some(format!("a conductor refuses its own rows: {refusal}"));
        }
        self.start_followers();
    }

    /// Its transactions may commit all the same; nobody hears of it.
    fn gateway_dies(&mut self) {
        let gateway = self.pick(self.gateways.len());
        let dead = &mut self.gateways[gateway];
        for (id, side) in dead.in_flight.drain(..) {
            if id % 2 == 0 {
                self.databases[at(side)].commit(id);
            } else {
                self.databases[at(side)].writers.retain(|open| *open != id);
            }
        }
        dead.held.clear();
        dead.routing = None;
        let id = dead.id;
        // Its lease ends.
        self.conductor.feed(Input::Held(id));
    }

    fn hold_expires(&mut self) {
        let gateway = self.pick(self.gateways.len());
        for id in self.gateways[gateway].held.drain(..) {
            self.auditor.refused(id);
        }
    }

    pub fn audit_safety(&self) -> Result<(), String> {
        Auditor::safety(&self.databases)?;
        self.auditor.rehearsed(&self.databases)?;
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        if self.conductor.replayed() == self.conductor.state {
            Ok(())
        } else {
            Err("the journal does not lead to the state".to_owned())
        }
    }

    /// No more faults and no new work: all must come to rest.
    pub fn settle(&mut self) -> Result<(), String> {
        self.faults = false;
        self.restart_conductor(false);
        for _ in 0..20_000 {
            self.write_ends();
            self.background_ends();
            self.follow();
            self.publish();
            self.gateways_answer();
            self.call();
            self.deliver();
            self.readiness();
            if self.rests() {
                return self.audit_safety();
            }
        }
        let streams = Side::BOTH.map(|side| {
            let incoming = self.databases[at(side)].incoming;
            (
                incoming,
                self.databases[at(side.other())].log.len(),
                self.databases[at(side)].row,
            )
        });
        Err(format!(
            "it does not come to rest: {:?}, {streams:?}, {:?}",
            self.conductor.state, self.gateways
        ))
    }

    fn background_ends(&mut self) {
        for id in std::mem::take(&mut self.background) {
            for side in Side::BOTH {
                if self.databases[at(side)].writers.contains(&id) {
                    self.databases[at(side)].commit(id);
                    self.auditor.acknowledged(id);
                }
            }
        }
    }

    fn rests(&self) -> bool {
        let read = |side: Side| {
            self.databases[at(side)].incoming.position == self.databases[at(side.other())].log.len()
        };
        self.conductor.state.owned().is_some()
            && self
                .gateways
                .iter()
                .all(|gateway| gateway.held.is_empty() && gateway.in_flight.is_empty())
            && Side::BOTH.into_iter().all(read)
    }

    pub fn audit_end(&mut self) -> Result<Summary, String> {
        let owner = self.conductor.state.owned().map(|owned| owned.by);
        self.auditor.end(&self.databases, owner)?;
        self.summary.acknowledged = self.auditor.count();
        (self.summary.appended, self.summary.kept) = self.auditor.shared();
        Ok(self.summary.clone())
    }
}

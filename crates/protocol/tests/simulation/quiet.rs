//! The second phase: no more faults, and people do what they are told. Everything must
//! come to rest then.

use crate::{
    conductor::{Charge, Conductor, at},
    database::Database,
    journal::Journal,
    moves::Move,
    steps::Gates,
    world::World,
};
use protocol::{
    Side,
    lifecycle::Lifecycle,
    rollout::{Decision, WaitsFor},
};

/// Rounds in which everybody has a turn. Ten times what any schedule has needed.
const ROUNDS: u32 = 600;

/// Rounds after which somebody looks why nobody is in charge.
const PATIENCE: u32 = 25;

/// Rounds after which the deadline of a hold has come.
const DEADLINE: u32 = 40;

/// How far it came.
#[derive(Debug, Default, Clone, Copy)]
pub struct Summary {
    pub schedules: u64,
    pub committed: u64,
    pub aborted: u64,
    /// Rehearsals that got as far as the commit point.
    pub rehearsed: u64,
    pub acknowledged: u64,
    /// How often somebody took charge.
    pub charges: u64,
    /// Lives that were cancelled.
    pub lives: u64,
    pub appended: u64,
    /// Rows of a split table, written after the split.
    pub kept: u64,
    /// Rollouts that ended with their last step.
    pub rollouts: u64,
    /// Schedules after which a person had to choose who is in charge.
    pub helped: u64,
}

impl Summary {
    pub fn add(&mut self, other: &Self) {
        let Self {
            schedules,
            committed,
            aborted,
            rehearsed,
            acknowledged,
            charges,
            lives,
            appended,
            kept,
            rollouts,
            helped,
        } = other;
        self.schedules += schedules;
        self.committed += committed;
        self.aborted += aborted;
        self.rehearsed += rehearsed;
        self.acknowledged += acknowledged;
        self.charges += charges;
        self.lives += lives;
        self.appended += appended;
        self.kept += kept;
        self.rollouts += rollouts;
        self.helped += helped;
    }
}

impl World {
    /// Lets everything end, and looks at what has come of it. `helps`: whether people may
    /// have to choose who is in charge, since several were.
    pub fn comes_to_rest(&mut self, helps: bool) -> Result<Summary, String> {
        self.mend();
        let mut helped = 0;
        let mut idle = 0;
        for round in 0..ROUNDS {
            self.round();
            if let Some(finding) = &self.auditor.finding {
                return Err(finding.clone());
            }
            if self.rests() {
                return self.ended(helped);
            }
            idle = if self.anybody_in_charge() {
                0
            } else {
                idle + 1
            };
            if idle > PATIENCE {
                // A process that ended is started again by whoever watches over it.
                if helped > 3 || helped > 0 && !helps {
                    break;
                }
                self.help(helped);
                helped += 1;
                idle = 0;
            }
            if round % DEADLINE == DEADLINE - 1 {
                for conductor in 0..2 {
                    self.make(Move::Deadline { conductor });
                }
            }
            if round == ROUNDS / 2 {
                // Half prepared over what another life has left: the remedy that it names.
                for conductor in 0..2 {
                    self.make(Move::Cancel { conductor });
                }
            }
        }
        Err(format!("it does not come to rest: {}", self.unrest()))
    }

    fn mend(&mut self) {
        self.slow = [0; 2];
        self.gates = Gates::PASS;
        self.is_withheld = false;
        self.is_awaiting = false;
        for gateway in 0..self.gateways.len() {
            self.gateways[gateway].cut = [false; 2];
        }
        for conductor in self.conductors.iter_mut().flatten() {
            conductor.cut = [false; 2];
            conductor.halted = None;
        }
    }

    fn anybody_in_charge(&self) -> bool {
        // A cancel of what another one has switched or begun anew says so, and what to do.
        // One that has nothing has looked before another one began.
        let has = |is: fn(&Database) -> bool| self.databases.iter().any(is);
        let cannot = |one: &Conductor| match one.lifecycle {
            _ if one.stranded => true,
            Lifecycle::Cancelling { .. } => {
                let mut rows = self.databases.iter().filter_map(|one| one.row.as_ref());
                rows.any(|row| !row.ends(Side::Monolith, one.lifecycle.ending()))
            }
            Lifecycle::Planned => has(|one| one.row.is_some()),
            // Its stream says that the row is gone, and no hand-over begins by a stream
            // that is not well.
            Lifecycle::Owned(_) | Lifecycle::HandingOver { .. } => has(|one| one.row.is_none()),
            _ => false,
        };
        let mut conductors = self.conductors.iter().flatten();
        conductors.any(|one| one.is_in_charge() && !cannot(one))
    }

    /// What a refusal says: use the other state directory, or move this journal away.
    fn help(&mut self, helped: u64) {
        let both = self.conductors[1].is_some();
        let (place, keeps) = match helped {
            0 => (0, true),
            1 if both => (1, true),
            _ => (0, false),
        };
        for other in self.conductors.iter_mut().flatten() {
            other.runs = false;
        }
        let journal = match &self.conductors[place] {
            Some(conductor) if keeps => conductor.journal.clone(),
            _ => Journal::default(),
        };
        self.start_conductor(place, journal);
    }

    /// Everybody has a turn.
    fn round(&mut self) {
        self.hours += 1;
        for _ in 0..self.transactions.len() {
            self.make(Move::Transaction {
                which: 0,
                heard: true,
            });
        }
        for _ in 0..self.late.len() {
            self.make(Move::Late { call: 0 });
        }
        for follower in (0..self.followers.len()).rev() {
            let follower = u8::try_from(follower).unwrap_or(u8::MAX);
            for _ in 0..4 {
                self.make(Move::Receive { follower });
            }
            self.make(Move::Apply { follower });
            self.make(Move::Confirm { follower });
        }
        for conductor in 0..2 {
            self.conductor_round(conductor);
        }
    }

    fn conductor_round(&mut self, conductor: u8) {
        let Some(one) = &self.conductors[usize::from(conductor)] else {
            return;
        };
        if !one.runs {
            return;
        }
        if one.awaited.is_some_and(|call| !self.calls.contains(&call)) {
            self.make(Move::GiveUp { conductor });
        }
        self.make(Move::Beat { conductor });
        self.make(Move::Send { conductor });
        while !self.calls.is_empty() {
            self.make(Move::Deliver {
                call: 0,
                again: false,
                lost: false,
            });
        }
        self.make(Move::Ready { conductor });
        for gateway in 0..u8::try_from(self.gateways.len()).unwrap_or(0) {
            self.make(Move::Hear {
                conductor,
                gateway,
                late: false,
            });
            self.make(Move::Acknowledge { conductor, gateway });
        }
        self.make(Move::Turn { conductor });
        self.make(Move::Act { conductor });
        let waits = match self.next_step(usize::from(conductor)) {
            Some(Decision::Wait(waiting)) => waiting.for_what,
            _ => return,
        };
        if matches!(
            waits[..],
            [WaitsFor::Approval { .. } | WaitsFor::Promotion, ..]
        ) {
            self.make(Move::Approve { conductor });
        }
    }

    fn next_step(&self, place: usize) -> Option<Decision> {
        let conductor = self.conductors[place].as_ref()?;
        Some(conductor.decision(&self.around(), self.bug))
    }

    fn rests(&self) -> bool {
        let read = |side: Side| {
            let incoming = self.databases[at(side)].incoming;
            incoming.is_none_or(|incoming| {
                incoming.position == self.databases[at(side.other())].log.len()
            })
        };
        if !self.transactions.is_empty() || !Side::BOTH.into_iter().all(read) {
            return false;
        }
        let mut in_charge = None;
        for place in 0..2 {
            let Some(conductor) = self.conductors[place].as_ref().filter(|one| one.runs) else {
                continue;
            };
            // Somebody will stop one that says that it must not go on, and two of which one
            // has nothing to decide do not disturb each other.
            if conductor.refusal.is_some() && self.anybody_in_charge()
                || self.is_planned(place) && in_charge.is_some()
            {
                continue;
            }
            let second = in_charge.replace(place);
            if conductor.charge != Charge::Taken
                || second.is_some_and(|other| !self.is_planned(other))
            {
                return false;
            }
        }
        let Some(place) = in_charge else {
            return false;
        };
        let waits = match self.next_step(place) {
            Some(Decision::Wait(waiting)) => waiting.until.is_none(),
            Some(Decision::Rest) => true,
            _ => false,
        };
        let Some(conductor) = &self.conductors[place] else {
            return false;
        };
        let told = conductor.told[1].map(|told| told.routing);
        waits
            && matches!(
                conductor.lifecycle,
                Lifecycle::Owned(_) | Lifecycle::Planned
            )
            && conductor.pending.is_none()
            && conductor.is_idle()
            && self.gateways.iter().all(|gateway| {
                let follows = gateway.known.map(|known| known.routing) == told;
                (follows && gateway.has_lease || self.is_planned(place)) && gateway.held.is_empty()
            })
    }

    fn is_planned(&self, place: usize) -> bool {
        let conductor = self.conductors[place].as_ref();
        conductor.is_some_and(|one| one.lifecycle == Lifecycle::Planned)
    }

    fn ended(&self, helped: u64) -> Result<Summary, String> {
        let conductors = self.conductors.iter().flatten();
        let in_charge = conductors.filter(|one| one.is_in_charge());
        let decides = |one: &&Conductor| one.lifecycle != Lifecycle::Planned;
        let Some(conductor) = in_charge.max_by_key(decides) else {
            return Err("nobody is in charge".to_owned());
        };
        let is = (conductor.lifecycle.clone(), conductor.rollout.clone());
        if conductor.journal.reread()?.replayed() != is {
            return Err("the journal does not lead to the state".to_owned());
        }
        let owner = conductor.lifecycle.owned().map(|owned| owned.by);
        self.auditor.end(&self.databases, owner)?;
        let (acknowledged, appended, kept) = self.auditor.count();
        let handovers = self.conductors.iter().flatten().map(|one| one.handovers);
        let (committed, aborted, rehearsed) = handovers.fold((0, 0, 0), |sum, one| {
            (sum.0 + one[0], sum.1 + one[1], sum.2 + one[2])
        });
        let rollouts = self.conductors.iter().flatten();
        let rollouts = rollouts.filter(|one| one.rollout == protocol::rollout::Rollout::Done);
        Ok(Summary {
            schedules: 1,
            committed: u64::from(committed),
            aborted: u64::from(aborted),
            rehearsed: u64::from(rehearsed),
            acknowledged: acknowledged as u64,
            charges: self
                .conductors
                .iter()
                .flatten()
                .map(|one| u64::from(one.charges))
                .sum(),
            lives: u64::from(self.auditor.lives),
            appended: appended as u64,
            kept: kept as u64,
            rollouts: rollouts.count() as u64,
            helped: u64::from(helped > 1),
        })
    }

    fn unrest(&self) -> String {
        let conductors: Vec<_> = self
            .conductors
            .iter()
            .flatten()
            .map(|one| {
                let (runs, charge, life) = (one.runs, one.charge, &one.lifecycle);
                let (rollout, refusal) = (&one.rollout, &one.refusal);
                let next = self.next_step(one.place);
                format!(
                    "runs {runs}, {charge:?}, {life:?}, {rollout:?}, {refusal:?}, {next:?}, {:?}",
                    one.awaited
                )
            })
            .collect();
        let databases: Vec<_> = self
            .databases
            .iter()
            .map(|one| format!("{:?}, {:?}, log {}", one.row, one.incoming, one.log.len()))
            .collect();
        format!(
            "{conductors:#?}, {databases:#?}, {:?}, {:?}",
            self.gateways, self.transactions
        )
    }
}

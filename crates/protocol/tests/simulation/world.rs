//! Everything together: what each move does.

use crate::{
    auditor::Auditor,
    bug::Bug,
    call::{Call, Reply},
    conductor::{Conductor, at},
    database::{Database, Refused, WriteId},
    gateway::Gateway,
    journal::Journal,
    moves::Move,
    steps::{Around, Gates},
};
use protocol::{InstanceId, Millis, Side, handover::Input, owner::Claim};

/// Calls that are late at once, and followers that run at once: more are lost.
pub const LATE_MAX: usize = 6;
pub const FOLLOWERS_MAX: usize = 6;

/// How many entries of a log come at once.
pub const CHUNK: usize = 3;

/// How far a user's transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    Sent,
    /// With its snapshot: whether a write would have passed then.
    Begun(bool),
    /// Past the fence, with the table's lock.
    Written,
}

/// A user's transaction; `gateway`: who waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Transaction {
    pub id: WriteId,
    pub side: Side,
    pub phase: Phase,
    pub gateway: Option<usize>,
}

/// A follower of one direction; `claim` is the one it was started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Follower {
    pub from: Side,
    pub claim: Claim,
    pub instance: InstanceId,
    /// Where its stream began, and how far it has read.
    pub opened: usize,
    pub received: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub bug: Option<Bug>,
    pub databases: [Database; 2],
    pub gateways: Vec<Gateway>,
    pub conductors: [Option<Conductor>; 2],
    pub followers: Vec<Follower>,
    pub transactions: Vec<Transaction>,
    pub calls: Vec<Call>,
    /// Calls that come when nobody waits for them any more.
    pub late: Vec<Call>,
    pub auditor: Auditor,
    /// Moves for which a database is still slow.
    pub slow: [u8; 2],
    pub hours: i64,
    pub gates: Gates,
    pub steps: usize,
    pub is_withheld: bool,
    pub is_awaiting: bool,
    /// Names, drawn one after the other.
    pub runs: u16,
    pub turns: u16,
    pub nonces: u16,
    pub lives: u16,
    pub next_write: WriteId,
    pub count: u16,
}

impl World {
    /// An extraction that has been copied, followed by one conductor.
    pub fn new(gateways: usize, steps: usize, bug: Option<Bug>) -> Self {
        let mut world = Self {
            bug,
            databases: Side::BOTH.map(|side| Database::new(side, bug)),
            gateways: (0..gateways as u128).map(Gateway::new).collect(),
            conductors: [None, None],
            followers: Vec::new(),
            transactions: Vec::new(),
            calls: Vec::new(),
            late: Vec::new(),
            auditor: Auditor::default(),
            slow: [0; 2],
            hours: 0,
            gates: Gates::PASS,
            steps,
            is_withheld: false,
            is_awaiting: false,
            runs: 0,
            turns: 0,
            nonces: 0,
            lives: 0,
            next_write: 1,
            count: 0,
        };
        world.start_conductor(0, Journal::default());
        world.calmly(8);
        world.make(Move::Start { conductor: 0 });
        world.calmly(12);
        world
    }

    /// Calls go to and fro, and everybody hears.
    fn calmly(&mut self, turns: u8) {
        for _ in 0..turns {
            self.make(Move::Send { conductor: 0 });
            self.make(Move::Deliver {
                call: 0,
                again: false,
                lost: false,
            });
        }
        for gateway in 0..u8::try_from(self.gateways.len()).unwrap_or(0) {
            self.make(Move::Hear {
                conductor: 0,
                gateway,
                late: false,
            });
        }
    }

    pub fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    pub fn conductor(&mut self, place: u8) -> Option<&mut Conductor> {
        self.conductors.get_mut(usize::from(place))?.as_mut()
    }

    pub fn start_conductor(&mut self, place: usize, journal: Journal) {
        self.runs += 1;
        let before = self.conductors[place].take();
        let mut conductor = Conductor::start(place, self.runs, journal, self.bug);
        if let Some(before) = before {
            conductor.goes_on_from(&before);
        }
        self.conductors[place] = Some(conductor);
    }

    /// What a move does.
    pub fn make(&mut self, one: Move) {
        self.count = self.count.wrapping_add(1);
        for slow in &mut self.slow {
            *slow = slow.saturating_sub(1);
        }
        match one {
            Move::Write { gateway } => self.client_writes(gateway),
            Move::Background => {
                let id = self.write_id();
                self.transaction(id, Side::Monolith, None);
            }
            Move::Transaction { which, heard } => self.transaction_goes_on(which, heard),
            Move::Shared { side, what } => self.shared_write(side, what),
            Move::Receive { follower }
            | Move::Apply { follower }
            | Move::Confirm { follower }
            | Move::Reconnect { follower } => self.follow(usize::from(follower), one),
            Move::Hear {
                conductor,
                gateway,
                late,
            } => self.hear(usize::from(conductor), gateway, late),
            Move::Acknowledge { conductor, gateway } => self.acknowledge(conductor, gateway),
            Move::CutGateway { conductor, gateway } => {
                self.gateway(gateway).cut[usize::from(conductor)] = true;
            }
            Move::MendGateway { gateway } => self.gateway(gateway).cut = [false; 2],
            Move::LeaseEnds { gateway } => self.lease_ends(gateway),
            Move::LeaseCounted { conductor, gateway } => self.lease_counted(conductor, gateway),
            Move::GatewayDies { gateway } => self.gateway_dies(gateway),
            Move::HoldExpires { gateway } => {
                let held = std::mem::take(&mut self.gateway(gateway).held);
                self.refused(held);
            }
            Move::Slow { side, moves } => self.slow[at(side)] = moves,
            Move::Hours { hours } => self.hours += i64::from(hours),
            Move::GateFinds { gate, found } => match gate % 3 {
                0 => self.gates.harm = found,
                1 => self.gates.enough = found,
                _ => self.gates.begin = found,
            },
            Move::Withheld { is } => self.is_withheld = is,
            Move::Awaiting { is } => self.is_awaiting = is,
            Move::Deliver { call, again, lost } => self.deliver(usize::from(call), again, lost),
            Move::Lose { call, late } => {
                if !self.calls.is_empty() {
                    let index = usize::from(call) % self.calls.len();
                    let call = self.calls.remove(index);
                    if late && !call.claims() {
                        self.delay(call);
                    }
                }
            }
            Move::Late { call } => {
                if !self.late.is_empty() {
                    let index = usize::from(call) % self.late.len();
                    let call = self.late.remove(index);
                    // What waits for a lock goes on waiting.
                    if self.execute(&call) == Reply::Refused(Refused::Busy) {
                        self.delay(call);
                    }
                }
            }
            Move::Second { back } => self.second(back),
            of_conductor => self.of_conductor(of_conductor),
        }
        self.notice();
    }

    fn of_conductor(&mut self, one: Move) {
        match one {
            Move::Send { conductor } => {
                if let Some(call) = self.conductor(conductor).and_then(Conductor::due_call) {
                    self.calls.push(call);
                }
            }
            Move::GiveUp { conductor } => {
                if let Some(conductor) = self.conductor(conductor) {
                    conductor.give_up();
                }
            }
            Move::Deadline { conductor } => {
                self.feed(conductor, Input::Tick(Millis(u64::MAX)));
            }
            Move::Ready { conductor } => self.ready(conductor),
            Move::Crash {
                conductor,
                journal_lost,
            } => self.crash(conductor, journal_lost),
            Move::CutDatabase { conductor, side } => {
                if let Some(conductor) = self.conductor(conductor) {
                    conductor.cut[at(side)] = true;
                }
            }
            Move::MendDatabase { conductor } => {
                if let Some(conductor) = self.conductor(conductor) {
                    conductor.cut = [false; 2];
                }
            }
            Move::Turn { conductor } => {
                let (around, bug) = (self.around(), self.bug);
                if let Some(conductor) = self.conductor(conductor)
                    && let Err(finding) = conductor.turn(&around, bug)
                {
                    self.auditor.finds(finding);
                }
            }
            Move::Act { conductor } => self.act(conductor),
            Move::Beat { conductor } => {
                let rows = [0, 1].map(|side: usize| self.databases[side].row);
                let other = self.conductors[usize::from(conductor == 0)].as_ref();
                let other = other.filter(|one| one.is_in_charge()).map(|one| one.run);
                if let Some(conductor) = self.conductor(conductor) {
                    conductor.beat(rows, other);
                }
            }
            person => self.of_person(person),
        }
    }

    pub fn gateway(&mut self, gateway: u8) -> &mut Gateway {
        let count = self.gateways.len();
        &mut self.gateways[usize::from(gateway) % count]
    }

    pub fn place_of(&self, gateway: u8) -> usize {
        usize::from(gateway) % self.gateways.len()
    }

    pub fn feed(&mut self, conductor: u8, input: Input) {
        if let Some(conductor) = self.conductor(conductor) {
            conductor.feed(input);
        }
    }

    pub fn around(&self) -> Around {
        Around {
            now: self.hours,
            gates: self.gates,
            schedule: self.steps,
            is_withheld: self.is_withheld,
            is_awaiting: self.is_awaiting,
        }
    }
}

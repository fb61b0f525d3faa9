//! The conductor's shell, as thin as the real one: it writes events down,
//! sends the effect that is due, and feeds what comes back into the machine.

use crate::database::{Database, INSTANCE};
use protocol::{
    ConductorId, Generation, Millis, Nonce, Side,
    handover::{Effect, Input},
    lifecycle::{Command, Event, Lifecycle},
    owner::{Claim, Outcome, RowRead},
    reconcile::{Refusal, reconcile},
};
use uuid::Uuid;

/// A call on its way to a database.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub number: u64,
    pub side: Side,
    pub claim: Claim,
    pub epoch: protocol::Epoch,
    pub nonce: Nonce,
    pub what: What,
}

#[derive(Debug, Clone, Copy)]
pub enum What {
    Fence,
    CatchUp,
    Decide(Outcome),
    Open,
}

/// Ticks after which a call without an answer is given up.
const TIMEOUT: u64 = 3;

pub struct Conductor {
    pub journal: Vec<Event>,
    pub state: Lifecycle,
    pub claims: [Claim; 2],
    /// The call whose answer is awaited; answers to others are dropped.
    pub awaited: Option<u64>,
    pub now: u64,
    /// Ticks since the awaited call was sent.
    waited: u64,
    next: u64,
    runs: u128,
}

pub fn claim_of(claims: &[Claim; 2], side: Side) -> Claim {
    claims[usize::from(side == Side::Service)]
}

impl Conductor {
    pub fn start(databases: &mut [Database; 2]) -> Self {
        let journal = vec![
            Event::Started { instance: INSTANCE },
            Event::Prepared,
            Event::Copied,
        ];
        let nobody = Claim {
            conductor: ConductorId(Uuid::nil()),
            generation: Generation(0),
        };
        let mut conductor = Self {
            journal,
            state: Lifecycle::Planned,
            claims: [nobody; 2],
            awaited: None,
            now: 0,
            waited: 0,
            next: 1,
            runs: 0,
        };
        conductor
            .restart(databases, false, None)
            .expect("fresh rows are in order");
        conductor
    }

    /// Everything in memory is gone; the journal and the rows are not.
    pub fn restart(
        &mut self,
        databases: &mut [Database; 2],
        journal_lost: bool,
        silent: Option<Side>,
    ) -> Result<(), Refusal> {
        self.runs += 1;
        let id = ConductorId(Uuid::from_u128(0xC000 + self.runs));
        self.claims = [databases[0].claim(id), databases[1].claim(id)];
        self.awaited = None;
        if journal_lost {
            self.journal.clear();
        }
        self.state = self.replayed();
        let [monolith, service] = [&databases[0], &databases[1]].map(|database| {
            if Some(database.side) == silent {
                RowRead::NoAnswer
            } else {
                RowRead::Row(database.row)
            }
        });
        for event in reconcile(&self.state, monolith, service, true)? {
            self.write(event);
        }
        Ok(())
    }

    pub fn replayed(&self) -> Lifecycle {
        self.journal
            .iter()
            .fold(Lifecycle::Planned, Lifecycle::evolve)
    }

    pub fn rehearses(&self) -> bool {
        matches!(&self.state, Lifecycle::HandingOver { handover, .. } if handover.is_rehearsal())
    }

    /// Whether what ended last did as planned.
    pub fn has_rehearsed(&self) -> bool {
        matches!(
            self.journal.last(),
            Some(Event::HandoverEnded { reason: None, .. })
        )
    }

    pub fn write(&mut self, event: Event) {
        self.state = std::mem::take(&mut self.state).evolve(&event);
        self.journal.push(event);
    }

    pub fn command(&mut self, command: Command) {
        for event in self.state.decide(command).unwrap_or_default() {
            self.write(event);
        }
    }

    pub fn feed(&mut self, input: Input) {
        self.command(Command::Handover(input));
    }

    pub fn tick(&mut self) {
        self.now += 1;
        self.waited += 1;
        if self.awaited.is_some() && self.waited > TIMEOUT {
            self.awaited = None;
            self.feed(Input::Failed("no answer".to_owned()));
        }
        self.feed(Input::Tick(Millis(self.now)));
    }

    /// The call for the effect that is due, if it is one to a database and
    /// none is awaited.
    pub fn due_call(&mut self) -> Option<Call> {
        let Lifecycle::HandingOver { handover, .. } = &self.state else {
            return None;
        };
        if self.awaited.is_some() {
            return None;
        }
        let (side, what) = match handover.due() {
            Effect::Fence => (handover.from(), What::Fence),
            Effect::CatchUp => (handover.to(), What::CatchUp),
            Effect::Decide(outcome) => (handover.from(), What::Decide(outcome)),
            Effect::Open => (handover.to(), What::Open),
            Effect::CheckReady | Effect::LockWeakly | Effect::Hold { .. } => return None,
        };
        let number = self.next;
        self.next += 1;
        self.awaited = Some(number);
        self.waited = 0;
        Some(Call {
            number,
            side,
            claim: claim_of(&self.claims, side),
            epoch: handover.epoch(),
            nonce: handover.nonce(),
            what,
        })
    }
}

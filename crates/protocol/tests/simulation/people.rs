//! What people order, what the steps order, and whose processes start and end.

use crate::{bug::Bug, journal::Journal, moves::Move, world::World};
use protocol::{
    InstanceId, Millis, Nonce,
    handover::{Effect, Input},
    lifecycle::{Command, Lifecycle},
};
use std::time::Duration;
use uuid::Uuid;

impl World {
    /// A process ends, wherever it is, and starts again.
    pub fn crash(&mut self, place: u8, journal_lost: bool) {
        let Some(conductor) = self.conductor(place) else {
            return;
        };
        let mut journal = std::mem::take(&mut conductor.journal);
        let is = (conductor.lifecycle.clone(), conductor.rollout.clone());
        if journal.replayed() != is {
            self.auditor
                .finds("the journal does not lead to the state".to_owned());
        }
        if journal_lost {
            journal = Journal::default();
        }
        self.start_conductor(usize::from(place), journal);
    }

    pub fn second(&mut self, back: Option<u8>) {
        if self.conductors[1].as_ref().is_some_and(|one| one.runs) {
            return;
        }
        let Some(first) = &self.conductors[0] else {
            return;
        };
        let journal = back.map_or_else(Journal::default, |back| {
            first.journal.copy(usize::from(back))
        });
        self.start_conductor(1, journal);
    }

    pub fn act(&mut self, place: u8) {
        let (around, agree) = (self.around(), !self.count.is_multiple_of(8));
        let Some(conductor) = self.conductor(place) else {
            return;
        };
        match conductor.act(&around, agree) {
            Ok(Some(command)) => self.command(place, command),
            Ok(None) => {}
            Err(finding) => self.auditor.finds(finding),
        }
    }

    /// A command of whoever may give one; a hand-over only once the streams run.
    pub fn command(&mut self, place: u8, command: Command) {
        let nonce = Nonce(Uuid::from_u128(u128::from(self.nonces) + 1));
        let Some(conductor) = self.conductor(place) else {
            return;
        };
        if !conductor.is_in_charge() {
            return;
        }
        let command = match command {
            Command::HandOver { .. } | Command::Rehearse { .. }
                if conductor.follows.is_none()
                    || conductor.follows != conductor.lifecycle.instance() =>
            {
                return;
            }
            Command::HandOver { to, .. } => Command::HandOver { to, nonce },
            Command::Rehearse { .. } => Command::Rehearse { nonce },
            command => command,
        };
        let rehearses = matches!(command, Command::Rehearse { .. });
        let owner = conductor.lifecycle.owned().map(|owned| owned.by);
        if conductor.command(command) {
            self.nonces += 1;
            if let (true, Some(owner)) = (rehearses, owner) {
                self.auditor.rehearses(nonce, owner);
            }
        }
    }

    pub fn of_person(&mut self, one: Move) {
        match one {
            Move::HandOver { conductor } => {
                let owner = self
                    .conductor(conductor)
                    .and_then(|one| one.lifecycle.owned().map(|owned| owned.by));
                if let Some(owner) = owner {
                    let (to, nonce) = (owner.other(), Nonce(Uuid::nil()));
                    self.command(conductor, Command::HandOver { to, nonce });
                }
            }
            Move::Rehearse { conductor } => {
                let nonce = Nonce(Uuid::nil());
                self.command(conductor, Command::Rehearse { nonce });
            }
            Move::Abort { conductor } => {
                self.feed(conductor, Input::Failed("a person wants it so".to_owned()));
            }
            Move::Start { conductor } => {
                if !self.has(Bug::InstanceReused) || self.lives == 0 {
                    self.lives += 1;
                }
                let instance = InstanceId(Uuid::from_u128(u128::from(self.lives)));
                self.command(conductor, Command::Start { instance });
            }
            Move::Cancel { conductor } => self.command(conductor, Command::Cancel),
            Move::Shift { conductor, percent } => {
                let share = plan::Percent::from_basis_points(u16::from(percent) * 100);
                if let Ok(share) = share {
                    self.command(conductor, Command::ShiftReads(share));
                }
            }
            of_steps => self.of_steps(of_steps),
        }
    }

    pub fn of_steps(&mut self, one: Move) {
        let bug = self.bug;
        match one {
            Move::Halt { conductor, on } => {
                if let Some(conductor) = self.conductor(conductor) {
                    conductor.halted = on.then_some("ada");
                    if on
                        && bug != Some(Bug::HaltComesTooLate)
                        && let Some(pending) = &mut conductor.pending
                    {
                        pending.goes_on = false;
                    }
                }
            }
            Move::Pause { conductor } => {
                if let Some(conductor) = self.conductor(conductor) {
                    conductor.pause(bug);
                }
            }
            Move::Resume { conductor, back } => {
                if let Some(conductor) = self.conductor(conductor) {
                    conductor.resume(usize::from(back), bug);
                }
            }
            Move::Approve { conductor } => {
                if let Some(conductor) = self.conductor(conductor) {
                    conductor.approve(bug);
                }
            }
            _ => {}
        }
    }

    /// Looking and the weak lock change nothing, so they are one step here.
    pub fn ready(&mut self, place: u8) {
        let gateways = self.gateways.iter().map(|gateway| gateway.id).collect();
        let hurries = self.has(Bug::FenceBeforeAcknowledged);
        let Some(conductor) = self.conductor(place) else {
            return;
        };
        let Lifecycle::HandingOver { handover, .. } = &conductor.lifecycle else {
            return;
        };
        match handover.due() {
            Effect::CheckReady => conductor.feed(Input::Ready),
            Effect::LockWeakly => conductor.feed(Input::Locked {
                now: Millis(0),
                hold: Duration::from_secs(2),
                gateways,
            }),
            Effect::Hold { missing } if hurries => {
                for gateway in missing {
                    conductor.feed(Input::Held(gateway));
                }
            }
            _ => {}
        }
    }
}

//! The conductor's shell, as thin as the real one: it takes charge, writes events
//! down, sends the call that is due, and feeds what comes back into the machine.

use crate::{
    bug::Bug,
    call::{Call, Reply, What},
    database::Refused,
    gateway::Announcement,
    journal::{Journal, Written},
    steps::PendingAction,
};
use protocol::{
    ConductorId, HandoverId, InstanceId, Side,
    handover::{Effect, Input},
    lifecycle::{Command, Event, Lifecycle, Owned, UnderWay},
    owner::{Claim, Outcome, OwnerRow, RowRead},
    reconcile::{Refusal, recognise, reconcile},
    rollout::Rollout,
    routing::{ExtractionRouting, Writes},
};
use uuid::Uuid;

/// Whether the extraction is this conductor's to decide and to route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Charge {
    /// The rows have not been compared; these were read.
    Unknown([Option<RowRead>; 2]),
    /// They follow from the journal; these were claimed.
    Compared([Option<RowRead>; 2]),
    /// They agree.
    Taken,
    /// They contradict the journal: it is looked again.
    Lost,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Conductor {
    /// Its place: which state directory is its.
    pub place: usize,
    /// This run of it.
    pub run: ConductorId,
    /// Whether the process runs. One that was superseded, or whose journal is old, ends.
    pub runs: bool,
    pub journal: Journal,
    pub charge: Charge,
    pub lifecycle: Lifecycle,
    pub rollout: Rollout,
    pub claims: [Option<Claim>; 2],
    /// The call whose reply is awaited; replies to others are dropped.
    pub awaited: Option<Call>,
    /// The last two routings that it told, the newest last.
    pub told: [Option<Announcement>; 2],
    /// What the steps asked for.
    pub pending: Option<PendingAction>,
    /// Databases that it cannot reach.
    pub cut: [bool; 2],
    /// By whom all steps are halted.
    pub halted: Option<&'static str>,
    /// How often it took charge.
    pub charges: u16,
    /// How many hand-overs were committed, aborted, and rehearsed to the end.
    pub handovers: [u16; 3],
    /// Its place among all that took charge; 0: not taken since the last claim.
    pub turn: u16,
    /// How far work of several calls has come: of these no state tells.
    progress: u8,
    copied: bool,
    /// The life whose followers have been started.
    pub follows: Option<InstanceId>,
    unfenced: Option<Side>,
    /// Whether a stream of its was superseded: it says so, and that it is to be restarted.
    pub stranded: bool,
    /// How often a cancel has begun to claim.
    attempts: u16,
    /// The claims of a cancel, which are a conductor's of its own.
    taken_away: [Option<Claim>; 2],
    /// Whose the rows were when they were compared first.
    pub compared: [Option<ConductorId>; 2],
    /// Why it does not go on.
    pub refusal: Option<Refusal>,
    bug: Option<Bug>,
}

pub fn at(side: Side) -> usize {
    usize::from(side == Side::Service)
}

impl Conductor {
    /// A process that starts from a journal. Everything else is to be found out.
    pub fn start(place: usize, run: u16, journal: Journal, bug: Option<Bug>) -> Self {
        let (lifecycle, rollout) = journal.replayed();
        Self {
            place,
            run: ConductorId(Uuid::from_u128(0xC000 + u128::from(run))),
            runs: true,
            journal,
            charge: Charge::Unknown([None; 2]),
            lifecycle,
            rollout,
            claims: [None; 2],
            awaited: None,
            told: [None; 2],
            pending: None,
            cut: [false; 2],
            halted: None,
            charges: 0,
            handovers: [0; 3],
            turn: 0,
            progress: 0,
            copied: false,
            follows: None,
            unfenced: None,
            stranded: false,
            attempts: 0,
            taken_away: [None; 2],
            compared: [None; 2],
            refusal: None,
            bug,
        }
    }

    /// What is not the process's stays as it was.
    pub fn goes_on_from(&mut self, before: &Self) {
        self.cut = before.cut;
        self.halted = before.halted;
        self.handovers = before.handovers;
        self.charges = before.charges;
    }

    /// Looks whether another conductor has come: the rows are looked at anew then, and a
    /// cancel, which claims as a conductor of its own, ends where that one lives.
    pub fn beat(&mut self, rows: [Option<OwnerRow>; 2], other: Option<ConductorId>) {
        if !self.is_in_charge() || self.is_handing_over() {
            return;
        }
        let sides = (0..2).filter(|side| !self.cut[*side]);
        let displaced = |side: usize| {
            let claimed = self.claims[side].zip(rows[side]);
            claimed.is_some_and(|(claim, row)| claim.conductor != row.conductor)
        };
        let lives = |side: usize| other.is_some() && rows[side].map(|row| row.conductor) == other;
        if matches!(self.lifecycle, Lifecycle::Cancelling { .. }) {
            if sides.clone().any(lives) {
                self.charge = Charge::Lost;
                self.runs = false;
            }
        } else if sides.clone().any(displaced) {
            self.looks_anew();
        }
    }

    /// The rows are not as this conductor knows them: it takes charge as after a restart.
    fn looks_anew(&mut self) {
        self.charge = Charge::Unknown([None; 2]);
        self.follows = None;
        self.unfenced = None;
        self.awaited = None;
        self.progress = 0;
    }

    pub fn is_in_charge(&self) -> bool {
        self.runs && self.charge == Charge::Taken
    }

    fn write(&mut self, event: Event) {
        self.progress = 0;
        match event {
            Event::HandoverBegan { .. }
            | Event::RehearsalBegan { .. }
            | Event::HandoverEnded { .. } => self.unfenced = None,
            Event::CancelBegan => {
                self.follows = None;
                self.taken_away = [None; 2];
            }
            Event::Cancelled => {
                self.unfenced = None;
                self.claims = [None; 2];
            }
            _ => {}
        }
        if let Event::HandoverEnded { outcome, reason } = &event {
            let how = match (outcome, reason) {
                (Outcome::Committed, _) => 0,
                (Outcome::Aborted, Some(_)) => 1,
                (Outcome::Aborted, None) => 2,
            };
            self.handovers[how] += 1;
        }
        self.lifecycle = std::mem::take(&mut self.lifecycle).evolve(&event);
        self.journal.write(Written::Life(event));
    }

    /// Whether it led to anything.
    pub fn command(&mut self, command: Command) -> bool {
        let events = self.lifecycle.decide(command).unwrap_or_default();
        let any = !events.is_empty();
        for event in events {
            self.write(event);
        }
        any
    }

    pub fn feed(&mut self, input: Input) {
        if self.is_in_charge() {
            self.command(Command::Handover(input));
        }
    }

    /// The call that is due, unless it is awaited already. Work whose state has gone is
    /// dropped in the middle.
    pub fn due_call(&mut self) -> Option<Call> {
        if !self.runs {
            return None;
        }
        let due = self.due().map(|(side, what)| Call {
            conductor: self.place,
            run: self.run,
            side,
            what,
        });
        if due == self.awaited {
            return None;
        }
        self.awaited = due;
        due
    }

    pub fn is_idle(&self) -> bool {
        self.due().is_none()
    }

    fn due(&self) -> Option<(Side, What)> {
        let first = |done: &[Option<RowRead>; 2]| {
            Side::BOTH
                .into_iter()
                .find(|side| done[at(*side)].is_none())
        };
        match &self.charge {
            Charge::Lost => Some((Side::Monolith, What::Read)),
            Charge::Unknown(read) => first(read).map(|side| (side, What::Read)),
            Charge::Compared(claimed) => first(claimed).map(|side| (side, What::Claim(self.run))),
            Charge::Taken => self.work(),
        }
    }

    fn work(&self) -> Option<(Side, What)> {
        let side = Side::BOTH[usize::from(self.progress % 2)];
        match &self.lifecycle {
            Lifecycle::Preparing { instance } => Some((side, What::Prepare(*instance))),
            Lifecycle::Copying { instance } => {
                Some(self.claimed(Side::Service, |claim| What::Copy(claim, *instance)))
            }
            Lifecycle::Cancelling { .. } => Some(match self.progress {
                0 | 1 => (side, What::Read),
                2 | 3 => (side, What::TakeAway(self.away(), self.lifecycle.ending())),
                // The service's side first.
                _ => match self.taken_away[at(side.other())] {
                    Some(claim) => (side.other(), What::Clear(claim)),
                    None => (side.other(), What::Read),
                },
            }),
            Lifecycle::HandingOver { before, handover } => self.effect(before, handover),
            Lifecycle::Owned(_) if self.claims.contains(&None) => {
                let missing = usize::from(self.claims[0].is_some());
                Some((Side::BOTH[missing], What::Claim(self.run)))
            }
            Lifecycle::Owned(owned) if self.unfenced != Some(owned.by) => {
                let instance = owned.instance;
                Some(self.claimed(owned.by, |claim| What::Unfence(claim, instance)))
            }
            _ => None,
        }
    }

    /// The conductor's id that this attempt of a cancel claims with.
    fn away(&self) -> ConductorId {
        let attempt = u128::from(self.attempts) << 64;
        ConductorId(Uuid::from_u128(self.run.0.as_u128() | attempt))
    }

    /// Something that needs a claim, or the claim where a side did not answer before.
    fn claimed(&self, side: Side, what: impl FnOnce(Claim) -> What) -> (Side, What) {
        let what = self.claims[at(side)].map_or(What::Claim(self.run), what);
        (side, what)
    }

    fn effect(&self, before: &Owned, handover: &UnderWay) -> Option<(Side, What)> {
        let (from, to) = (handover.from(), handover.to());
        let id = handover_id(before, handover);
        match handover.due() {
            Effect::Fence => Some(self.claimed(from, |claim| What::Fence(claim, id))),
            Effect::CatchUp => Some((to, What::CatchUp(id))),
            Effect::Decide(wanted) => {
                let commits = handover.is_rehearsal() && self.bug == Some(Bug::RehearsalCommits);
                let wanted = if commits { Outcome::Committed } else { wanted };
                Some(self.claimed(from, |claim| What::Decide(claim, id, wanted)))
            }
            Effect::Open if self.progress == 0 => Some((from, What::ReadGiven(id))),
            Effect::Open => Some(self.claimed(to, |claim| What::Open(claim, id))),
            Effect::CheckReady | Effect::LockWeakly | Effect::Hold { .. } => None,
        }
    }

    /// No reply comes any more.
    pub fn give_up(&mut self) {
        let Some(call) = self.awaited.take() else {
            return;
        };
        match (&self.charge, call.what) {
            (Charge::Unknown(_) | Charge::Lost | Charge::Compared(_), _) => {
                let (read, claim, copied) = (RowRead::NoAnswer, None, false);
                self.row(call, read, claim, copied);
            }
            (Charge::Taken, _) if self.is_handing_over() => {
                self.progress = 0;
                self.feed(Input::Failed("no answer".to_owned()));
            }
            (Charge::Taken, _) => self.progress = 0,
        }
    }

    pub fn is_handing_over(&self) -> bool {
        matches!(self.lifecycle, Lifecycle::HandingOver { .. })
    }

    /// What came back of the awaited call.
    pub fn hear(&mut self, call: Call, reply: Reply) {
        if !self.runs || self.awaited != Some(call) {
            return;
        }
        self.awaited = None;
        match reply {
            Reply::Refused(Refused::Superseded) => {
                // Somebody else is in charge: claim nothing, route nothing, end.
                self.charge = Charge::Lost;
                self.runs = self.bug == Some(Bug::SupersededStillTells);
                if self.runs {
                    self.charge = Charge::Taken;
                }
            }
            Reply::Refused(Refused::Busy) => {}
            Reply::Refused(Refused::Ahead) => self.looks_anew(),
            Reply::Refused(Refused::Stale) if self.is_handing_over() => {
                self.progress = 0;
                self.feed(Input::Failed(
                    "the row is another than it should be".to_owned(),
                ));
            }
            Reply::Refused(Refused::Stale) => self.progress = 0,
            Reply::Row {
                read,
                claim,
                copied,
            } => self.row(call, read, claim, copied),
            Reply::Decided(outcome) => self.feed(Input::Decided(outcome)),
            Reply::Done => self.done(call.what),
        }
    }

    fn done(&mut self, what: What) {
        match what {
            What::Copy(..) => {
                self.command(Command::Copied);
            }
            What::Fence(..) => self.feed(Input::Fenced),
            What::CatchUp(_) => self.feed(Input::CaughtUp),
            What::ReadGiven(_) => self.progress = 1,
            What::Open(..) => self.feed(Input::Opened),
            What::Unfence(..) => {
                self.unfenced = self.lifecycle.owned().map(|owned| owned.by);
            }
            What::Clear(..) if self.progress == 4 => self.progress = 5,
            What::Clear(..) => {
                self.command(Command::Cancelled);
            }
            _ => {}
        }
    }

    /// A row was read or claimed.
    fn row(&mut self, call: Call, read: RowRead, claim: Option<Claim>, copied: bool) {
        let place = at(call.side);
        match &mut self.charge {
            Charge::Lost => {
                self.charge = Charge::Unknown([None; 2]);
                self.row(call, read, claim, copied);
            }
            Charge::Unknown(rows) | Charge::Compared(rows) => {
                rows[place] = Some(read);
                self.copied |= copied;
                if claim.is_some() {
                    self.claims[place] = claim;
                }
                if let [Some(monolith), Some(service)] = *rows {
                    self.compare(monolith, service);
                }
            }
            Charge::Taken => match call.what {
                // Another conductor's cancel has taken the row away since.
                What::Claim(_) if claim.is_none() => self.looks_anew(),
                What::Claim(_) => self.claims[place] = claim,
                What::Prepare(_) => {
                    self.claims[place] = claim;
                    self.progress += 1;
                    if self.progress == 2 {
                        self.command(Command::Prepared);
                    }
                }
                What::TakeAway(..) => {
                    self.taken_away[place] = claim;
                    self.progress += 1;
                }
                // A cancel that finds no row on a side has nothing to clear there.
                What::Read if self.progress == 4 => self.progress = 5,
                What::Read if self.progress == 5 => {
                    self.command(Command::Cancelled);
                }
                // Both must be the monolith's before either is touched.
                What::Read => match read {
                    RowRead::Row(row) if !row.ends(Side::Monolith, self.lifecycle.ending()) => {
                        self.progress = 0;
                    }
                    _ => {
                        self.progress += 1;
                        self.attempts += u16::from(self.progress == 2);
                    }
                },
                _ => {}
            },
        }
    }

    /// The rows have been read, or claimed, and are compared with the journal.
    fn compare(&mut self, monolith: RowRead, service: RowRead) {
        let copied = self.copied;
        self.copied = false;
        let claims = matches!(self.charge, Charge::Compared(_));
        let ends = matches!(
            self.lifecycle,
            Lifecycle::Cancelling { .. } | Lifecycle::Finishing(_)
        );
        let careless = self.bug == Some(Bug::ClaimWithoutComparing);
        if !claims
            && !ends
            && !careless
            && let Err(refusal) = recognise(&self.journal.claimants(), monolith, service)
        {
            self.refusal = Some(refusal);
            self.charge = Charge::Lost;
            self.runs = false;
            return;
        }
        match reconcile(&self.lifecycle, monolith, service, copied) {
            Err(Refusal::Unreachable(_)) => {
                self.claims = [None; 2];
                self.charge = Charge::Unknown([None; 2]);
            }
            Err(refusal) if !careless || claims => {
                self.refusal = Some(refusal);
                self.charge = Charge::Lost;
            }
            Ok(events) if claims => {
                self.refusal = None;
                self.charge = Charge::Taken;
                self.charges += 1;
                if self.bug == Some(Bug::RoutingBelieved) && self.is_handing_over() {
                    // It was not switched by the routing, so it was not begun.
                    self.write(Event::HandoverEnded {
                        outcome: Outcome::Aborted,
                        reason: None,
                    });
                    return;
                }
                for event in events {
                    self.write(event);
                }
            }
            _ => {
                self.compared = [monolith, service].map(|read| match read {
                    RowRead::Row(row) => Some(row.conductor),
                    RowRead::NoRow | RowRead::NoAnswer => None,
                });
                self.turn = 0;
                self.journal.write(Written::Claimant(self.run));
                self.charge = Charge::Compared([None; 2]);
            }
        }
    }

    /// What the gateways are told: nothing before the rows have been compared, and to
    /// refuse where they contradict the journal.
    pub fn announce(&mut self) {
        let routing = match self.charge {
            Charge::Unknown(_) | Charge::Compared(_) => return,
            Charge::Lost if !self.runs => return,
            Charge::Lost => ExtractionRouting {
                writes: Writes::Refuse,
                follows: false,
                ..self.lifecycle.routing()
            },
            Charge::Taken => self.routing(),
        };
        let last = self.told[1];
        if last.is_some_and(|last| last.turn == self.turn && last.routing == routing) {
            return;
        }
        let number = last.map_or(0, |last| last.number + 1);
        let turn = self.turn;
        let now = Announcement {
            turn,
            number,
            routing,
        };
        self.told = [last, Some(now)];
    }

    fn routing(&self) -> ExtractionRouting {
        let routing = self.lifecycle.routing();
        match &self.lifecycle {
            Lifecycle::HandingOver { handover, .. }
                if self.bug == Some(Bug::ReleaseBeforeOpen) && handover.due() == Effect::Open =>
            {
                ExtractionRouting {
                    writes: Writes::To(handover.to()),
                    ..routing
                }
            }
            _ => routing,
        }
    }
}

pub fn handover_id(before: &Owned, handover: &UnderWay) -> HandoverId {
    HandoverId {
        instance: before.instance,
        epoch: handover.epoch(),
        from: handover.from(),
        nonce: handover.nonce(),
    }
}

//! The steps of the plan, as a conductor's shell goes through them: it gathers what is
//! so, asks the planner, and does that one thing. And a second opinion on each of its
//! decisions.

use crate::{
    bug::Bug,
    conductor::{Charge, Conductor},
    journal::Written,
};
use plan::{ExtractionName, Percent, Plan, Schedule};
use protocol::{
    Side,
    lifecycle::{Command, Lifecycle, Verified},
    rollout::{
        Action, Actor, Decision, Event, Facts, Gate, GateKind, Rollout, Standing, StopReason, Undo,
        UnixMillis, Verdict, decide,
    },
};
use std::sync::OnceLock;

/// What was asked of the extraction and has not come there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PendingAction {
    pub action: ActionKind,
    /// Whether it is still wanted.
    pub goes_on: bool,
}

/// An [`Action`], without the shares of writes that no side has here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActionKind {
    Shift(Percent),
    Verify,
    Switch,
    RollBack,
    Withdraw,
}

impl From<Action> for ActionKind {
    fn from(action: Action) -> Self {
        match action {
            Action::Shift { reads, .. } => Self::Shift(reads),
            Action::Verify => Self::Verify,
            Action::Switch => Self::Switch,
            Action::RollBack => Self::RollBack,
            Action::Withdraw => Self::Withdraw,
        }
    }
}

impl ActionKind {
    pub fn raises(self) -> bool {
        matches!(self, Self::Shift(_) | Self::Switch)
    }

    fn takes_back(self) -> bool {
        matches!(self, Self::RollBack | Self::Withdraw)
    }
}

/// What a gate finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Finding {
    pub verdict: Verdict,
    pub is_dry_run: bool,
}

impl Finding {
    const PASS: Self = Self {
        verdict: Verdict::Pass,
        is_dry_run: false,
    };

    /// Of one that has a say.
    fn is(self, verdict: Verdict) -> bool {
        !self.is_dry_run && self.verdict == verdict
    }

    fn lets_go_on(self) -> bool {
        self.is_dry_run || self.verdict == Verdict::Pass
    }
}

/// What the gates find, of each kind one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Gates {
    pub harm: Finding,
    pub enough: Finding,
    pub begin: Finding,
}

impl Gates {
    pub const PASS: Self = Self {
        harm: Finding::PASS,
        enough: Finding::PASS,
        begin: Finding::PASS,
    };

    fn judged(self, proof: Finding, bug: Option<Bug>) -> [Gate; 4] {
        let kinds = [
            (GateKind::Harm, self.harm),
            (GateKind::Enough, self.enough),
            (GateKind::Begin, self.begin),
            (GateKind::Proof, proof),
        ];
        kinds.map(|(kind, found)| Gate {
            name: String::new(),
            kind,
            is_dry_run: found.is_dry_run,
            verdict: match found.verdict {
                Verdict::Unknown if bug == Some(Bug::UnknownIsPass) => Verdict::Pass,
                verdict => verdict,
            },
            text: String::new(),
            evidence: serde_json::Value::Null,
        })
    }
}

const ROLLOUTS: [&str; 4] = [
    "steps: [{ reads: 5%, for: 2h }, { reads: 50%, for: 2h }, switch, { watch: 9h }], automatic: { \
     rollback: on }",
    "steps: [{ reads: 100% }, switch, { watch: 3h }, retire]",
    "steps: [{ reads: 50%, for: 1h }, { reads: 100%, approval: lead }, switch], automatic: { \
     withdraw: off }",
    "steps: [{ reads: 10%, for: 1h }, switch, { watch: 5h }], automatic: { promote: off, rollback: \
     on }",
];

/// The schedules of the plans, parsed once.
pub fn schedules() -> &'static [Schedule] {
    static PARSED: OnceLock<Vec<Schedule>> = OnceLock::new();
    PARSED.get_or_init(|| ROLLOUTS.iter().map(|rollout| parsed(rollout)).collect())
}

fn parsed(rollout: &str) -> Schedule {
    let text = format!(
        "monolith: {{ url: 'http://127.0.0.1:1', database: 'postgres://u:p@127.0.0.1:2/m' }}\n\
         services: {{ s: {{ url: 'http://127.0.0.1:3', database: 'postgres://u:p@127.0.0.1:4/s' }} \
         }}\ngateway: {{ listen: '127.0.0.1:0' }}\nextractions: {{ a: {{ service: s, routes: [{{ \
         path: /a }}], data: {{ mode: replicate, schema: s, tables: {{ public.a: {{}} }} }}, \
         rollout: {{ key: {{ header: x }}, {rollout} }} }} }}\n"
    );
    let plan = Plan::parse(&text, |_| None).expect("a plan that is right");
    let mut extractions = plan.extractions.into_values();
    let only = extractions.next().and_then(|one| one.schedule);
    only.expect("it has steps")
}

/// What the world around the steps is like.
#[derive(Debug, Clone, Copy)]
pub struct Around {
    /// In hours.
    pub now: i64,
    pub gates: Gates,
    pub schedule: usize,
    pub is_withheld: bool,
    /// Whether one that must switch first has not, or has gone back.
    pub is_awaiting: bool,
}

impl Conductor {
    /// How the extraction stands, as this conductor tells it.
    pub fn standing(&self) -> Standing {
        match &self.lifecycle {
            Lifecycle::Planned => Standing::Absent,
            Lifecycle::Preparing { .. } | Lifecycle::Copying { .. } => Standing::Coming,
            Lifecycle::Owned(_) if self.charge != Charge::Taken => Standing::Unknown,
            Lifecycle::Owned(owned) => Standing::Owned {
                by: owned.by,
                reads: owned.reads,
                writes: None,
            },
            Lifecycle::HandingOver { .. } => Standing::HandingOver,
            Lifecycle::Cancelling { .. } | Lifecycle::Finishing(_) => Standing::Ending,
            Lifecycle::Finished(_) => Standing::Finished,
        }
    }

    pub fn decision(&self, around: &Around, bug: Option<Bug>) -> Decision {
        let proof = match self.lifecycle.owned().map(|owned| owned.verified) {
            Some(Verified::Agreed(_)) => Verdict::Pass,
            Some(Verified::Differed) => Verdict::Fail,
            Some(Verified::Never) | None => Verdict::NeedMore,
        };
        let proof = Finding {
            verdict: proof,
            is_dry_run: false,
        };
        let gates = around.gates.judged(proof, bug);
        let other = ExtractionName::new("b").into_iter();
        let awaited: Vec<_> = other.filter(|_| around.is_awaiting).collect();
        let facts = Facts {
            now: UnixMillis(around.now * 3_600_000),
            standing: self.standing(),
            gates: &gates,
            awaited: &awaited,
            halted: self.halted,
            is_withheld: around.is_withheld,
        };
        decide(&schedules()[around.schedule], "plan", &self.rollout, &facts)
    }

    pub fn note(&mut self, event: Event, bug: Option<Bug>) {
        if matches!(event, Event::Stopped { .. })
            && let Some(pending) = &mut self.pending
        {
            pending.goes_on = false;
        }
        self.rollout = std::mem::take(&mut self.rollout).evolve(&event);
        if bug != Some(Bug::NoteNotWritten) {
            self.journal.write(Written::Step(event));
        }
    }

    /// Has one thing done that is due.
    pub fn turn(&mut self, around: &Around, bug: Option<Bug>) -> Result<(), String> {
        if !self.runs {
            return Ok(());
        }
        if self.halted.is_some()
            && bug != Some(Bug::HaltComesTooLate)
            && let Some(pending) = &mut self.pending
        {
            pending.goes_on = false;
        }
        let decision = self.decision(around, bug);
        self.review(&decision, around)?;
        match decision {
            Decision::Rest | Decision::Wait(_) => {}
            Decision::Note(events) => {
                for event in events {
                    self.note(event, bug);
                }
            }
            Decision::Do(action) => {
                let action = ActionKind::from(action);
                match self.pending {
                    Some(pending) if pending.action == action || !action.takes_back() => {}
                    _ => {
                        self.pending = Some(PendingAction {
                            action,
                            goes_on: true,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    /// What the planner may never decide, whatever led there.
    fn review(&self, decision: &Decision, around: &Around) -> Result<(), String> {
        let gates = around.gates;
        let says = |what: &str| Err(format!("{what}: {decision:?} in {:?}", self.rollout));
        let has_ended = |event: &Event| matches!(event, Event::Forgotten | Event::Ended);
        let goes_on = match decision {
            Decision::Rest | Decision::Wait(_) => false,
            Decision::Note(events) => !events.iter().all(has_ended),
            Decision::Do(_) => true,
        };
        if self.halted.is_some() && goes_on {
            return says("it goes on in a halt");
        }
        let (serves, switched) = match self.standing() {
            Standing::Owned { by, reads, .. } => (
                by == Side::Service || reads > Percent::ZERO,
                by == Side::Service,
            ),
            _ => (false, false),
        };
        match decision {
            Decision::Do(action) if ActionKind::from(*action).raises() => {
                if !gates.begin.lets_go_on() {
                    return says("it promotes over a gate that does not pass");
                }
                if around.is_awaiting && !switched {
                    return says("it promotes before one that must have switched");
                }
                if serves && gates.harm.is(Verdict::Fail) {
                    return says("it promotes over harm");
                }
                let Rollout::Running(position) = &self.rollout else {
                    return says("it promotes though it does not run");
                };
                let hour = around.now * 3_600_000;
                if position.permitted.is_none_or(|at| at.0 + 3_600_000 < hour) {
                    return says("it promotes, and what let it is not written down");
                }
            }
            Decision::Do(Action::RollBack) if !switched => {
                return says("it hands back what the monolith has");
            }
            Decision::Do(Action::RollBack | Action::Withdraw) => {
                let due = matches!(self.rollout, Rollout::Stopped { undo: Some(_), .. });
                if !due || !serves {
                    return says("it takes back what it has taken back");
                }
            }
            Decision::Note(events) => {
                for event in events {
                    match event {
                        Event::Passed { .. } if gates.harm.is(Verdict::Fail) => {
                            return says("a step passes over harm");
                        }
                        Event::Passed { step, .. }
                            if [gates.harm, gates.enough]
                                .iter()
                                .any(|gate| !gate.lets_go_on())
                                && !is_switch(around.schedule, *step) =>
                        {
                            return says("a step passes over a gate that does not");
                        }
                        Event::Stopped {
                            why: StopReason::Gate { .. },
                            ..
                        } if gates.harm.is_dry_run => {
                            return says("it stops for a gate that is tried out");
                        }
                        Event::Stopped {
                            undo: Some(undo), ..
                        } if !serves || (*undo == Undo::RollBack) != switched => {
                            return says("it is to take back what is not there");
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What the steps asked for comes to the extraction.
    pub fn act(&mut self, around: &Around, agree: bool) -> Result<Option<Command>, String> {
        let Some(pending) = self.pending.take() else {
            return Ok(None);
        };
        let action = pending.action;
        if action.raises() && !pending.goes_on || !self.is_in_charge() {
            return Ok(None);
        }
        if action.raises() && self.halted.is_some() {
            return Err(format!("{action:?} is done in a halt"));
        }
        let at = u64::try_from(around.now).unwrap_or_default();
        Ok(Some(match action {
            ActionKind::Shift(reads) => Command::ShiftReads(reads),
            ActionKind::Verify if agree => Command::Verified(Verified::Agreed(at)),
            ActionKind::Verify => Command::Verified(Verified::Differed),
            ActionKind::Withdraw => Command::Withdraw,
            ActionKind::Switch => hand_over(Side::Service),
            ActionKind::RollBack => hand_over(Side::Monolith),
        }))
    }
}

/// Whether the step is the switch itself: what comes after it watches.
fn is_switch(schedule: usize, step: usize) -> bool {
    let step = schedules()[schedule].steps.get(step);
    step.is_some_and(|step| step.does == plan::StepDoes::Switch)
}

/// The caller draws the nonce.
fn hand_over(to: Side) -> Command {
    Command::HandOver {
        to,
        nonce: protocol::Nonce(uuid::Uuid::nil()),
    }
}

fn ada() -> Actor {
    Actor::Person("ada".to_owned())
}

/// What people order.
impl Conductor {
    pub fn pause(&mut self, bug: Option<Bug>) {
        if matches!(self.rollout, Rollout::Running(_)) {
            let why = StopReason::Person {
                by: ada(),
                note: String::new(),
            };
            self.note(Event::Stopped { why, undo: None }, bug);
        }
    }

    /// With the step that it stopped in, or an earlier one.
    pub fn resume(&mut self, back: usize, bug: Option<Bug>) {
        if let Rollout::Stopped { position, .. } = &self.rollout {
            let step = position.step.saturating_sub(back);
            let (by, steps) = (ada(), Vec::new());
            self.note(Event::Resumed { step, by, steps }, bug);
        }
    }

    pub fn approve(&mut self, bug: Option<Bug>) {
        if let Rollout::Running(position) = &self.rollout {
            let (step, by, note) = (position.step, ada(), String::new());
            self.note(Event::Approved { step, by, note }, bug);
        }
    }
}

//! The schedules of a plan, gone through on a clock of their own.
//!
//! Everything goes well in it: copies take no time, gates pass, people approve at once.
//! So it says the earliest that a plan can end, what it has checked on the way, and which
//! people it asks for.

use super::{
    actor::Actor,
    decision::{Action, Decision, decide},
    event::Event,
    facts::{Facts, Gate, GateKind, Standing, Verdict},
    moment::UnixMillis,
    state::Rollout,
    waiting::WaitsFor,
};
use crate::Side;
use plan::{
    ChecklistItem, Checklists, DECOMMISSIONING, Data, Extraction, ExtractionName, Percent, Plan,
    Role, Schedule, StepDoes, WeekWindow,
};
use std::{collections::BTreeMap, time::Duration};

/// More events than these are no plan of people.
const EVENTS_MAX: usize = 100_000;

/// The gate of a step's checklist.
const CHECKLIST: &str = "checklist";

/// How far the clock goes on where a window is waited for.
const MINUTE_MS: i64 = 60_000;

/// One line of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct TimelineEntry {
    /// When.
    pub at: UnixMillis,
    /// Of which extraction.
    pub extraction: ExtractionName,
    /// What happens.
    pub what: String,
    /// Whether a person has to do something.
    pub asks_a_person: bool,
    /// What that person may do at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Of a step that begins: the gates that must pass before it ends, or the next begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<String>,
    /// Of a checklist: what must be done before the step begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<TimelineItem>,
}

/// An item of a checklist that is to be done.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct TimelineItem {
    /// Its name.
    pub name: String,
    /// What has been done then, in words.
    pub text: String,
    /// Whether it is checked by itself; a person attests it otherwise.
    pub automatic: bool,
}

/// A plan that does not end: what the first extraction waits for that does not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{extraction}` does not end: it waits for {what}")]
pub struct Endless {
    /// Which.
    pub extraction: ExtractionName,
    /// For what.
    pub what: String,
}

/// An extraction in a rehearsal.
struct Rehearsed<'a> {
    schedule: &'a Schedule,
    lists: &'a Checklists,
    /// For how long nobody may have used the old side before it goes.
    quiet: Duration,
    rollout: Rollout,
    standing: Standing,
    is_verified: bool,
    /// When the items of its checklists were done last.
    done: BTreeMap<&'a str, UnixMillis>,
    /// Whether it waits for a person at its end, or has none of its own.
    has_ended: bool,
}

/// Goes through all schedules of a plan from a moment on. None where it has none.
pub fn rehearse(plan: &Plan, from: UnixMillis) -> Result<Vec<TimelineEntry>, Endless> {
    let mut all = BTreeMap::new();
    for (name, one) in &plan.extractions {
        if let Some(schedule) = &one.schedule {
            all.insert(name, Rehearsed::new(one, schedule, &plan.checklists));
        }
    }
    let mut timeline = by_hand(&all, from);
    let mut now = from;
    while timeline.len() < EVENTS_MAX {
        let mut next: Option<UnixMillis> = None;
        let mut has_moved = false;
        let names: Vec<_> = all.keys().copied().collect();
        let mut stuck = None;
        for name in names {
            let awaited = awaited(&all, name);
            let Some(one) = all.get_mut(name) else {
                continue;
            };
            match one.turn(name, &awaited, now, &mut timeline) {
                Turn::Moved => has_moved = true,
                Turn::Until(at) => next = Some(next.map_or(at, |next| next.min(at))),
                Turn::Ended => {}
                Turn::Stuck(what) => {
                    stuck = stuck.or(Some(Endless {
                        extraction: name.clone(),
                        what,
                    }));
                }
            }
        }
        match (has_moved, next, stuck) {
            (true, _, _) => {}
            (false, Some(at), _) => now = at,
            (false, None, Some(endless)) => return Err(endless),
            (false, None, None) => break,
        }
    }
    timeline.sort_by_key(|entry| entry.at);
    Ok(timeline)
}

/// What a person does with extractions that have no steps, where others wait for them.
fn by_hand(all: &BTreeMap<&ExtractionName, Rehearsed<'_>>, from: UnixMillis) -> Vec<TimelineEntry> {
    let awaited = all.values().flat_map(|one| &one.schedule.after);
    let mut awaited: Vec<_> = awaited.filter(|name| !all.contains_key(name)).collect();
    awaited.sort();
    awaited.dedup();
    let entry = |name| {
        let what = "it has no steps: a person switches it, and others wait for that".to_owned();
        TimelineEntry::asking(Role::Operator, from, name, what)
    };
    awaited.into_iter().map(entry).collect()
}

impl TimelineEntry {
    fn new(at: UnixMillis, extraction: &ExtractionName, what: String) -> Self {
        Self {
            at,
            extraction: extraction.clone(),
            what,
            asks_a_person: false,
            role: None,
            gates: Vec::new(),
            items: Vec::new(),
        }
    }

    fn asking(role: Role, at: UnixMillis, extraction: &ExtractionName, what: String) -> Self {
        Self {
            asks_a_person: true,
            role: Some(role),
            ..Self::new(at, extraction, what)
        }
    }
}

impl TimelineItem {
    fn of(item: &ChecklistItem) -> Self {
        Self {
            name: item.name.clone(),
            text: item.text.clone(),
            automatic: item.check.is_some(),
        }
    }
}

/// The extractions that this one waits for. One without a schedule counts as switched:
/// a person does that.
fn awaited(
    all: &BTreeMap<&ExtractionName, Rehearsed<'_>>,
    name: &ExtractionName,
) -> Vec<ExtractionName> {
    let after = all.get(name).map(|one| one.schedule.after.as_slice());
    let is_ahead = |before: &&ExtractionName| {
        all.get(before)
            .is_some_and(|other| !other.standing.has_switched())
    };
    after
        .unwrap_or_default()
        .iter()
        .filter(is_ahead)
        .cloned()
        .collect()
}

enum Turn {
    Moved,
    Until(UnixMillis),
    Ended,
    Stuck(String),
}

impl<'a> Rehearsed<'a> {
    fn new(of: &Extraction, schedule: &'a Schedule, lists: &'a Checklists) -> Self {
        let is_shared = of.data == Data::Shared;
        // Where both sides share the tables, nobody counts who uses them.
        let quiet = of.retire.unwrap_or_default().quiet;
        Self {
            schedule,
            lists,
            quiet: if is_shared { Duration::ZERO } else { quiet },
            rollout: Rollout::Idle,
            standing: Standing::Owned {
                by: Side::Monolith,
                reads: Percent::ZERO,
                writes: is_shared.then_some(Percent::ZERO),
            },
            is_verified: false,
            done: BTreeMap::new(),
            has_ended: false,
        }
    }

    fn turn(
        &mut self,
        name: &ExtractionName,
        awaited: &[ExtractionName],
        now: UnixMillis,
        timeline: &mut Vec<TimelineEntry>,
    ) -> Turn {
        if self.has_ended {
            return Turn::Ended;
        }
        let gates = self.gates(now);
        let facts = Facts {
            now,
            standing: self.standing,
            gates: &gates,
            awaited,
            halted: None,
            is_withheld: false,
        };
        match decide(self.schedule, "", &self.rollout, &facts) {
            Decision::Rest => {
                self.has_ended = true;
                Turn::Ended
            }
            Decision::Note(events) => {
                for event in events {
                    timeline.extend(self.entry(&event, name, now));
                    self.rollout = std::mem::take(&mut self.rollout).evolve(&event);
                }
                Turn::Moved
            }
            Decision::Do(action) => {
                self.carry_out(action);
                Turn::Moved
            }
            Decision::Wait(waiting) => match (&waiting.for_what[..], waiting.until) {
                ([WaitsFor::Approval { of }, ..], _) => {
                    let what = format!("approval: {of}");
                    timeline.push(TimelineEntry::asking(Role::Approver, now, name, what));
                    self.approve();
                    Turn::Moved
                }
                ([WaitsFor::Promotion, ..], _) => {
                    let what = "a person lets the next step begin".to_owned();
                    timeline.push(TimelineEntry::asking(Role::Approver, now, name, what));
                    self.approve();
                    Turn::Moved
                }
                ([WaitsFor::Gate { name: gate, .. }, ..], _) if gate == CHECKLIST => {
                    timeline.push(self.checklist(name, now));
                    Turn::Moved
                }
                ([WaitsFor::Retire, ..], _) => {
                    let what = WaitsFor::Retire.to_string();
                    timeline.push(TimelineEntry::asking(Role::Operator, now, name, what));
                    timeline.push(self.checklist(name, now.after(self.quiet)));
                    self.has_ended = true;
                    Turn::Moved
                }
                (_, Some(until)) => Turn::Until(until),
                ([WaitsFor::Gate { .. }, ..], None) => Turn::Until(UnixMillis(now.0 + MINUTE_MS)),
                ([first, ..], None) => Turn::Stuck(first.to_string()),
                ([], None) => Turn::Ended,
            },
        }
    }

    /// What of an event is worth a line.
    fn entry(
        &self,
        event: &Event,
        name: &ExtractionName,
        now: UnixMillis,
    ) -> Option<TimelineEntry> {
        match event {
            Event::Entered { step, .. } => {
                let step = self.schedule.steps.get(*step)?;
                Some(TimelineEntry {
                    gates: step.gates.names(),
                    ..TimelineEntry::new(now, name, step.to_string())
                })
            }
            Event::Ended => {
                let what = "all steps are done".to_owned();
                Some(TimelineEntry::new(now, name, what))
            }
            _ => None,
        }
    }

    /// What keeps a step from beginning: what is not done yet, and then the time of the week.
    fn gates(&self, now: UnixMillis) -> Vec<Gate> {
        let waits = self
            .rollout
            .position()
            .is_some_and(|at| at.entered.is_none());
        let open = waits && !self.open(now).is_empty();
        let list = open.then(|| gate(CHECKLIST, Verdict::Fail));
        let window = self.window().map(|window| {
            let verdict = if window.has(now.0) {
                Verdict::Pass
            } else {
                Verdict::Fail
            };
            gate("window", verdict)
        });
        let verify = self.is_verified.then(|| Gate {
            kind: GateKind::Proof,
            ..gate("verify", Verdict::Pass)
        });
        list.into_iter().chain(window).chain(verify).collect()
    }

    /// The items that a step waits for and that are not done, or not any more. A step that
    /// retires waits for none, but whoever retires does.
    fn open(&self, now: UnixMillis) -> Vec<&'a ChecklistItem> {
        let step = self.rollout.position().map(|position| position.step);
        let Some(step) = step.and_then(|at| self.schedule.steps.get(at)) else {
            return Vec::new();
        };
        let items = match step.does {
            StepDoes::Retire => self.lists.items(&[DECOMMISSIONING.to_owned()]),
            _ => self.lists.items(&step.checklist),
        };
        let mut items = items.unwrap_or_default();
        items.retain(|item| {
            let done = self.done.get(item.name.as_str());
            done.is_none_or(|done| done.after(item.max_age) < now)
        });
        items
    }

    /// Has the items done that the step waits for.
    fn checklist(&mut self, name: &ExtractionName, now: UnixMillis) -> TimelineEntry {
        let open = self.open(now);
        let of = self.rollout.position().map(|position| position.step);
        let of = of.and_then(|at| self.schedule.steps.get(at));
        let what = match of.map(|step| step.does) {
            Some(StepDoes::Retire) => "checklist before `banyan retire`".to_owned(),
            _ => format!(
                "checklist before `{}`",
                of.map_or_else(String::new, ToString::to_string)
            ),
        };
        let is_attested = open.iter().any(|item| item.check.is_none());
        let entry = if is_attested {
            TimelineEntry::asking(Role::Approver, now, name, what)
        } else {
            TimelineEntry::new(now, name, what)
        };
        let items = open.iter().map(|item| TimelineItem::of(item)).collect();
        let done = open.into_iter().map(|item| (item.name.as_str(), now));
        self.done.extend(done);
        TimelineEntry { items, ..entry }
    }

    fn window(&self) -> Option<WeekWindow> {
        let place = self.rollout.position()?.step;
        self.schedule.steps.get(place)?.gates.window
    }

    fn approve(&mut self) {
        let Some(position) = self.rollout.position() else {
            return;
        };
        let approved = Event::Approved {
            step: position.step,
            by: Actor::Plan,
            note: String::new(),
        };
        self.rollout = std::mem::take(&mut self.rollout).evolve(&approved);
    }

    fn carry_out(&mut self, action: Action) {
        let Standing::Owned { by, reads, writes } = self.standing else {
            return;
        };
        let shared = writes.is_some();
        self.standing = match action {
            Action::Verify => {
                self.is_verified = true;
                return;
            }
            Action::Shift {
                reads,
                writes: wanted,
            } => Standing::Owned {
                by,
                reads,
                writes: if shared { wanted.or(writes) } else { None },
            },
            Action::Switch if shared => Standing::Owned {
                by,
                reads: Percent::ALL,
                writes: Some(Percent::ALL),
            },
            Action::Switch => Standing::Owned {
                by: Side::Service,
                reads,
                writes,
            },
            Action::RollBack | Action::Withdraw => Standing::Owned {
                by: Side::Monolith,
                reads: Percent::ZERO,
                writes: shared.then_some(Percent::ZERO),
            },
        };
    }
}

/// One that keeps a step from beginning.
fn gate(name: &str, verdict: Verdict) -> Gate {
    Gate {
        name: name.to_owned(),
        kind: GateKind::Begin,
        is_dry_run: false,
        verdict,
        text: String::new(),
        evidence: serde_json::Value::Null,
    }
}

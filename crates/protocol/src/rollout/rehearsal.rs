//! The schedules of a plan, gone through on a clock of their own.
//!
//! Everything goes well in it: copies take no time, gates pass, people approve at once.
//! So it says the earliest that a plan can end, and which people it asks for on the way.

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
use plan::{ExtractionName, Percent, Schedule, WeekWindow};
use std::collections::BTreeMap;

/// More events than these are no plan of people.
const EVENTS_MAX: usize = 100_000;

/// How far the clock goes on where a window is waited for.
const MINUTE_MS: i64 = 60_000;

/// One line of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TimelineEntry {
    /// When.
    pub at: UnixMillis,
    /// Of which extraction.
    pub extraction: ExtractionName,
    /// What happens.
    pub what: String,
    /// Whether a person has to do something.
    pub asks_a_person: bool,
    /// Of a step that begins: the gates that must pass before it ends, or the next begins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<String>,
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
    rollout: Rollout,
    standing: Standing,
    is_verified: bool,
    /// Whether it waits for a person at its end, or has none of its own.
    has_ended: bool,
}

/// Goes through all schedules from a moment on. `shared`: whether both sides share the
/// extraction's data.
pub fn rehearse(
    schedules: &BTreeMap<ExtractionName, (&Schedule, bool)>,
    from: UnixMillis,
) -> Result<Vec<TimelineEntry>, Endless> {
    let mut all: BTreeMap<&ExtractionName, Rehearsed<'_>> = schedules
        .iter()
        .map(|(name, (schedule, shared))| (name, Rehearsed::new(schedule, *shared)))
        .collect();
    let mut timeline = Vec::new();
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
            (false, None, None) => return Ok(timeline),
        }
    }
    Ok(timeline)
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
    fn new(schedule: &'a Schedule, shared: bool) -> Self {
        Self {
            schedule,
            rollout: Rollout::Idle,
            standing: Standing::Owned {
                by: Side::Monolith,
                reads: Percent::ZERO,
                writes: shared.then_some(Percent::ZERO),
            },
            is_verified: false,
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
        let say = |timeline: &mut Vec<TimelineEntry>, what: String, asks_a_person| {
            timeline.push(TimelineEntry {
                at: now,
                extraction: name.clone(),
                what,
                asks_a_person,
                gates: Vec::new(),
            });
        };
        let gates: Vec<Gate> = self
            .window()
            .map(|window| gate(window, now))
            .into_iter()
            .collect();
        let facts = Facts {
            now,
            standing: self.standing,
            gates: &gates,
            awaited,
            halted: None,
            is_verified: self.is_verified,
            is_withheld: false,
        };
        match decide(self.schedule, "", &self.rollout, &facts) {
            Decision::Rest => {
                self.has_ended = true;
                Turn::Ended
            }
            Decision::Note(events) => {
                for event in events {
                    if let Event::Entered { step, .. } = event {
                        let step = &self.schedule.steps[step];
                        timeline.push(TimelineEntry {
                            at: now,
                            extraction: name.clone(),
                            what: step.to_string(),
                            asks_a_person: false,
                            gates: step.gates.names(),
                        });
                    } else if event == Event::Ended {
                        say(timeline, "all steps are done".to_owned(), false);
                    }
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
                    say(timeline, format!("approval: {of}"), true);
                    self.approve();
                    Turn::Moved
                }
                ([WaitsFor::Promotion, ..], _) => {
                    say(
                        timeline,
                        "a person lets the next step begin".to_owned(),
                        true,
                    );
                    self.approve();
                    Turn::Moved
                }
                ([WaitsFor::Retire, ..], _) => {
                    say(timeline, WaitsFor::Retire.to_string(), true);
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

fn gate(window: WeekWindow, now: UnixMillis) -> Gate {
    Gate {
        name: "window".to_owned(),
        kind: GateKind::Begin,
        is_dry_run: false,
        verdict: if window.has(now.0) {
            Verdict::Pass
        } else {
            Verdict::Fail
        },
        text: "outside of it".to_owned(),
        evidence: serde_json::Value::Null,
    }
}

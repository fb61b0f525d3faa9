//! What is due in a rollout.

use super::{
    event::Event,
    facts::{Facts, Gate, GateKind, Standing, Verdict},
    moment::UnixMillis,
    state::{Position, Rollout},
    stop::{StopReason, Undo},
    waiting::{Waiting, WaitsFor},
};
use crate::Side;
use plan::{Percent, Schedule, Step, StepDoes};
use std::time::Duration;

/// So old what let a step begin may be when it is asked for. Where that is refused for days,
/// it is written down so often, and no more often.
const PERMITTED_AGE: Duration = Duration::from_hours(1);

/// The one thing that is due.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Nothing, and nothing is waited for.
    Rest,
    /// Nothing yet.
    Wait(Waiting),
    /// To ask for something. It may be refused, and is due again then.
    Do(Action),
    /// To write something down.
    Note(Vec<Event>),
}

/// What is asked of an extraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// These shares.
    Shift {
        /// Of the reads.
        reads: Percent,
        /// Of the writes, where both sides share the data.
        writes: Option<Percent>,
    },
    /// A proof that both sides agree.
    Verify,
    /// To hand over to the service.
    Switch,
    /// To hand back.
    RollBack,
    /// To send all reads back.
    Withdraw,
}

/// What is due. `plan`: a digest of the plan's text.
pub fn decide(schedule: &Schedule, plan: &str, rollout: &Rollout, facts: &Facts<'_>) -> Decision {
    match (facts.standing, rollout) {
        (Standing::Unknown, _) => return wait(WaitsFor::Work("news of its databases")),
        (Standing::Absent | Standing::Ending, Rollout::Idle) => return wait(WaitsFor::Start),
        // Its next life begins with the first step.
        (Standing::Absent | Standing::Ending, _)
        | (Standing::Coming, Rollout::Running(_) | Rollout::Stopped { .. } | Rollout::Done) => {
            return Decision::Note(vec![Event::Forgotten]);
        }
        (Standing::Finished, Rollout::Done) => return Decision::Rest,
        (Standing::Finished, _) => return Decision::Note(vec![Event::Ended]),
        _ => {}
    }
    match rollout {
        Rollout::Done => Decision::Rest,
        _ if let Some(why) = facts.halted => in_halt((schedule, plan), rollout, facts, why),
        Rollout::Idle => begin(schedule, plan, facts),
        Rollout::Stopped {
            undo: Some(undo), ..
        } => take_back(*undo, facts),
        Rollout::Stopped { why, .. } => match harm(schedule, facts) {
            // What may not be taken back by itself waits for a person, as it does.
            Some((why, undo @ Some(_))) => stop_for_harm(why, undo, facts),
            _ => wait(WaitsFor::Resume {
                why: why.to_string(),
                step: resume_step(schedule, rollout, facts.standing),
            }),
        },
        Rollout::Running(position) => match schedule.steps.get(position.step) {
            None => Decision::Note(vec![Event::Ended]),
            Some(_) if facts.standing == Standing::HandingOver => {
                wait(WaitsFor::Work("the hand-over"))
            }
            Some(step) => match position.entered {
                None => enter((schedule, plan), step, position, facts),
                Some(since) => {
                    let until = since.after(step.lasts);
                    stay(schedule, step, position.step, until, facts)
                }
            },
        },
    }
}

/// With which step, from 1, one that has stopped would go on, where what is so does not fit
/// the one that it stopped in any more: after a rollback, say.
pub fn resume_step(schedule: &Schedule, rollout: &Rollout, standing: Standing) -> Option<usize> {
    let Rollout::Stopped { position, .. } = rollout else {
        return None;
    };
    let own = schedule.steps.get(position.step)?;
    match fit(own, standing) {
        Fit::Elsewhere(_) => fitting_step(schedule, standing),
        Fit::There | Fit::Ahead => None,
    }
}

/// Why a step, by its place from 0, would stop again at once if it were gone on with, and the
/// step, from 1, that would not.
pub fn stops_again(
    schedule: &Schedule,
    at: usize,
    standing: Standing,
) -> Option<(String, Option<usize>)> {
    match fit(schedule.steps.get(at)?, standing) {
        Fit::Elsewhere(why) => Some((why, fitting_step(schedule, standing))),
        Fit::There | Fit::Ahead => None,
    }
}

/// What is so by now, in words, where it is not what one stopped for any more.
pub fn changed_since(schedule: &Schedule, rollout: &Rollout, now: Standing) -> Option<String> {
    let Rollout::Stopped {
        position,
        why: StopReason::Changed { what },
        ..
    } = rollout
    else {
        return None;
    };
    match fit(schedule.steps.get(position.step)?, now) {
        Fit::There => Some("it is as the step wants".to_owned()),
        Fit::Elsewhere(now) if now != *what => Some(now),
        Fit::Elsewhere(_) | Fit::Ahead => None,
    }
}

/// The step, from 1, that goes with what is so: the last that is so already, else the first
/// that is still to be done.
fn fitting_step(schedule: &Schedule, standing: Standing) -> Option<usize> {
    let is = |wanted: fn(&Fit) -> bool| move |step: &Step| wanted(&fit(step, standing));
    let steps = &schedule.steps;
    if standing.has_switched() {
        // What comes after a switch fits all of it, and is not passed over.
        return steps
            .iter()
            .position(is(|fit| !matches!(fit, Fit::Elsewhere(_))))
            .map(|at| at + 1);
    }
    let there = steps.iter().rposition(is(|fit| matches!(fit, Fit::There)));
    let ahead = steps.iter().position(is(|fit| matches!(fit, Fit::Ahead)));
    there.or(ahead).map(|at| at + 1)
}

/// Nothing is due until it ends; what a person is to approve may be approved meanwhile.
fn in_halt(
    (schedule, plan): (&Schedule, &str),
    rollout: &Rollout,
    facts: &Facts<'_>,
    why: &str,
) -> Decision {
    let why = why.to_owned();
    let mut for_what = vec![WaitsFor::HaltEnd { why }];
    let otherwise = Facts {
        halted: None,
        ..facts.clone()
    };
    if let Decision::Wait(waiting) = decide(schedule, plan, rollout, &otherwise) {
        let approvals = waiting
            .for_what
            .into_iter()
            .filter(|one| matches!(one, WaitsFor::Approval { .. } | WaitsFor::Promotion));
        for_what.extend(approvals);
    }
    Decision::Wait(Waiting {
        for_what,
        until: None,
    })
}

const WITHHELD: WaitsFor =
    WaitsFor::Work("the stream to the other side: until it is well all reads go to the owner");

fn wait(what: WaitsFor) -> Decision {
    Decision::Wait(Waiting {
        for_what: vec![what],
        until: None,
    })
}

fn begin(schedule: &Schedule, plan: &str, facts: &Facts<'_>) -> Decision {
    match facts.standing {
        Standing::Owned {
            by: Side::Monolith,
            reads: Percent::ZERO,
            writes: None | Some(Percent::ZERO),
        } => {}
        Standing::Owned { .. } => {
            let why = "it was shifted before the plan had steps. `--step N` says from which one \
                       the plan goes on"
                .to_owned();
            return wait(WaitsFor::Resume { why, step: None });
        }
        _ => return wait(WaitsFor::Work("the first copy")),
    }
    if let Some(others) = others(facts) {
        return wait(others);
    }
    Decision::Note(vec![Event::Began {
        steps: schedule.steps.iter().map(ToString::to_string).collect(),
        plan: plan.to_owned(),
    }])
}

/// Those that must switch first and have not, or not any more.
fn others(facts: &Facts<'_>) -> Option<WaitsFor> {
    let names = facts.awaited.iter().map(ToString::to_string);
    (!facts.awaited.is_empty()).then(|| WaitsFor::Others(names.collect()))
}

/// How a step compares with what is so.
enum Fit {
    /// What it wants is so.
    There,
    /// It is still to be done.
    Ahead,
    /// Somebody has gone further, or back over the switch.
    Elsewhere(String),
}

fn fit(step: &Step, standing: Standing) -> Fit {
    let Standing::Owned { by, reads, writes } = standing else {
        return Fit::Ahead;
    };
    let has_switched = standing.has_switched();
    match step.does {
        // All requests go to the service then.
        StepDoes::Switch if has_switched && reads < Percent::ALL => Fit::Ahead,
        StepDoes::Switch | StepDoes::Watch | StepDoes::Retire if has_switched => Fit::There,
        StepDoes::Switch => Fit::Ahead,
        StepDoes::Watch | StepDoes::Retire => {
            Fit::Elsewhere("the service does not own the data any more".to_owned())
        }
        StepDoes::Reads(_) if writes.is_none() && by == Side::Service => {
            Fit::Elsewhere("the service owns the data already".to_owned())
        }
        StepDoes::Reads(wanted) => compared((wanted, None), (reads, None)),
        StepDoes::Shares {
            reads: wanted,
            writes: wanted_writes,
        } => compared((wanted, Some(wanted_writes)), (reads, writes)),
    }
}

type Shares = (Percent, Option<Percent>);

fn compared(wanted: Shares, is: Shares) -> Fit {
    if wanted == is {
        Fit::There
    } else if is.0 <= wanted.0 && is.1 <= wanted.1 {
        Fit::Ahead
    } else {
        let writes = is.1.map(|share| format!(", writes at {share}"));
        Fit::Elsewhere(format!(
            "reads are at {}{}, which is more than the step wants",
            is.0,
            writes.unwrap_or_default()
        ))
    }
}

/// Whether less is so than the steps before have left: somebody took it back.
fn has_fallen(schedule: &Schedule, position: &Position, standing: Standing) -> bool {
    let Standing::Owned { reads, writes, .. } = standing else {
        return false;
    };
    let mut before = schedule.steps.iter().take(position.step).rev();
    let left = before.find_map(|step| step.does.shares());
    !position.is_resumed
        && !standing.has_switched()
        && left.is_some_and(|left| reads < left.0 || writes.is_some_and(|is| is < left.1))
}

fn stopped(why: StopReason, undo: Option<Undo>) -> Event {
    Event::Stopped { why, undo }
}

fn enter(
    (schedule, plan): (&Schedule, &str),
    step: &Step,
    position: &Position,
    facts: &Facts<'_>,
) -> Decision {
    match fit(step, facts.standing) {
        Fit::There => {
            return Decision::Note(vec![Event::Entered {
                step: position.step,
                at: facts.now,
            }]);
        }
        Fit::Elsewhere(what) => {
            return Decision::Note(vec![stopped(StopReason::Changed { what }, None)]);
        }
        Fit::Ahead => {}
    }
    if has_fallen(schedule, position, facts.standing) {
        let what = "what the step before left was taken back: not by the plan".to_owned();
        return Decision::Note(vec![stopped(StopReason::Changed { what }, None)]);
    }
    // What harms between two steps harms as well.
    if let Some((why, undo)) = harm(schedule, facts) {
        return stop_for_harm(why, undo, facts);
    }
    // One of them may have gone back since this one began.
    if let Some(others) = others(facts).filter(|_| !facts.standing.has_switched()) {
        return wait(others);
    }
    if !position.is_approved {
        if let Some(of) = &step.approval {
            return wait(WaitsFor::Approval { of: of.clone() });
        }
        if !schedule.automatic.promote {
            return wait(WaitsFor::Promotion);
        }
    }
    if facts.is_withheld {
        return wait(WITHHELD);
    }
    let missing = missing(facts.gates, |kind| kind == GateKind::Begin);
    if !missing.is_empty() {
        return Decision::Wait(Waiting {
            for_what: missing,
            until: None,
        });
    }
    let moves = match facts.standing {
        Standing::Owned { writes, .. } => writes.is_none(),
        _ => return wait(WaitsFor::Work("the first copy")),
    };
    if moves && !is_proven(facts.gates) {
        return Decision::Do(Action::Verify);
    }
    if !is_permitted(position, facts.now) {
        return Decision::Note(vec![Event::Permitted {
            step: position.step,
            at: facts.now,
            evidence: evidence(facts.gates),
            plan: plan.to_owned(),
        }]);
    }
    Decision::Do(match step.does {
        StepDoes::Reads(reads) => Action::Shift {
            reads,
            writes: None,
        },
        StepDoes::Shares { reads, writes } => Action::Shift {
            reads,
            writes: Some(writes),
        },
        _ if facts.standing.has_switched() => Action::Shift {
            reads: Percent::ALL,
            writes: None,
        },
        StepDoes::Switch | StepDoes::Watch | StepDoes::Retire => Action::Switch,
    })
}

/// Whether it is written down, of lately, what let it begin.
fn is_permitted(position: &Position, now: UnixMillis) -> bool {
    let counts = |at: UnixMillis| at <= now && now <= at.after(PERMITTED_AGE);
    position.permitted.is_some_and(counts)
}

fn stay(
    schedule: &Schedule,
    step: &Step,
    place: usize,
    until: UnixMillis,
    facts: &Facts<'_>,
) -> Decision {
    match fit(step, facts.standing) {
        Fit::There => {}
        Fit::Elsewhere(what) => {
            return Decision::Note(vec![stopped(StopReason::Changed { what }, None)]);
        }
        Fit::Ahead => {
            let what = format!("`{step}` was so and is not any more: not by the plan");
            return Decision::Note(vec![stopped(StopReason::Changed { what }, None)]);
        }
    }
    if let Some((why, undo)) = harm(schedule, facts) {
        return stop_for_harm(why, undo, facts);
    }
    if step.does == StepDoes::Switch {
        // What comes after it watches.
        return passed(place, facts);
    }
    let missing = missing(facts.gates, |kind| {
        matches!(kind, GateKind::Harm | GateKind::Enough)
    });
    if facts.now < until {
        let mut for_what = vec![WaitsFor::Time];
        for_what.extend(missing);
        return Decision::Wait(Waiting {
            for_what,
            until: Some(until),
        });
    }
    if facts.is_withheld {
        return wait(WITHHELD);
    }
    if !missing.is_empty() {
        return Decision::Wait(Waiting {
            for_what: missing,
            until: None,
        });
    }
    if step.does == StepDoes::Retire {
        return wait(WaitsFor::Retire);
    }
    passed(place, facts)
}

fn passed(step: usize, facts: &Facts<'_>) -> Decision {
    Decision::Note(vec![Event::Passed {
        step,
        evidence: evidence(facts.gates),
    }])
}

fn evidence(gates: &[Gate]) -> Vec<serde_json::Value> {
    gates.iter().map(|gate| gate.evidence.clone()).collect()
}

/// Whether both sides were proven to agree: where nobody says so, they were not.
fn is_proven(gates: &[Gate]) -> bool {
    let mut proofs = gates.iter().filter(|gate| gate.kind == GateKind::Proof);
    proofs.any(|gate| gate.verdict == Verdict::Pass)
}

/// The gates of a kind that do not pass and have a say.
fn missing(gates: &[Gate], of: impl Fn(GateKind) -> bool) -> Vec<WaitsFor> {
    let open = gates
        .iter()
        .filter(|gate| of(gate.kind) && !gate.is_dry_run && gate.verdict != Verdict::Pass);
    open.map(|gate| WaitsFor::Gate {
        name: gate.name.clone(),
        text: gate.text.clone(),
    })
    .collect()
}

/// The gate that shows harm, where the service has something to do it with, and what the
/// plan allows to be taken back then.
fn harm(schedule: &Schedule, facts: &Facts<'_>) -> Option<(StopReason, Option<Undo>)> {
    let Standing::Owned { by, reads, writes } = facts.standing else {
        return None;
    };
    let has_writes = writes.is_some_and(|writes| writes > Percent::ZERO);
    if by == Side::Monolith && reads == Percent::ZERO && !has_writes {
        return None;
    }
    let gate = facts.gates.iter().find(|gate| {
        gate.kind == GateKind::Harm && !gate.is_dry_run && gate.verdict == Verdict::Fail
    })?;
    let automatic = schedule.automatic;
    let undo = match by {
        Side::Service if writes.is_none() => automatic.rollback.then_some(Undo::RollBack),
        _ => automatic.withdraw.then_some(Undo::Withdraw),
    };
    let why = StopReason::Gate {
        gate: gate.name.clone(),
        found: gate.text.clone(),
    };
    Some((why, undo))
}

fn stop_for_harm(why: StopReason, undo: Option<Undo>, facts: &Facts<'_>) -> Decision {
    let evidence = evidence(facts.gates);
    Decision::Note(vec![Event::Evidence { evidence }, stopped(why, undo)])
}

fn take_back(undo: Undo, facts: &Facts<'_>) -> Decision {
    let Standing::Owned { by, reads, writes } = facts.standing else {
        return wait(WaitsFor::Work("the hand-over"));
    };
    let nothing = reads == Percent::ZERO && writes.is_none_or(|writes| writes == Percent::ZERO);
    match (undo, by) {
        (Undo::RollBack, Side::Service) if writes.is_none() => Decision::Do(Action::RollBack),
        // Somebody has switched meanwhile: that is not for `withdraw` to undo.
        (Undo::Withdraw, Side::Service) if writes.is_none() => {
            Decision::Note(vec![Event::Undone { undo }])
        }
        _ if nothing => Decision::Note(vec![Event::Undone { undo }]),
        _ => Decision::Do(Action::Withdraw),
    }
}

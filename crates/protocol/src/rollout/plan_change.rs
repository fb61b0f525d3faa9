//! What a plan with other steps does to a rollout under way.
//!
//! A reload knows the steps before and after whole, and has those take effect with which no
//! share moves for the change alone: steps still to come may be any, the one that comes next
//! may only ask for more, the one that it is in may only last longer, and those behind are as
//! they were. One that has stopped takes any: it goes on when a person says so. A restart has only the words of the steps before, from the journal: there any
//! change up to the current step stops it.

use super::{
    event::Event,
    state::{Position, Rollout},
    stop::StopReason,
};
use plan::{Schedule, Step, StepDifference, StepDoes};
use std::fmt;

/// Why steps that a reload brings do not take effect now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("step {number} is {place}: {what}. {}", place.remedy())]
pub struct UnsafeChange {
    /// Which, from 1.
    number: usize,
    place: Place,
    /// How it differs, as far as it may not.
    what: String,
}

/// Where a step is that may not become just any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It was gone through.
    Behind,
    /// It is gone through now.
    Present,
    /// It may begin at any moment.
    Next,
    /// What it wants has been asked for.
    UnderWay,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Behind => "behind it",
            Self::Present => "the one that it is in",
            Self::Next => "the next one",
            Self::UnderWay => "just being entered",
        })
    }
}

impl Place {
    fn remedy(self) -> &'static str {
        match self {
            Self::Behind => {
                "Put it back, or change the steps after it; from another step it goes on by \
                 `banyan pause`, `banyan reload`, `banyan resume --step N`"
            }
            Self::Present => {
                "It may only last longer; or `banyan pause`, `banyan reload` and `banyan resume` \
                 begin it anew"
            }
            Self::Next => {
                "It may only shift less, or want an approval or a checklist more; or `banyan \
                 pause`, `banyan reload` and `banyan resume`"
            }
            Self::UnderWay => "`banyan reload` again when it is in it",
        }
    }

    /// Whether a step in this place may differ so.
    fn allows(self, difference: &StepDifference, was: &Step, is: &Step) -> bool {
        match (self, &*difference.key) {
            (Self::Present, key) => {
                key == StepDifference::STEP && was.does == is.does && is.lasts >= was.lasts
            }
            (Self::Next, StepDifference::STEP) => !goes_further(was.does, is.does),
            (Self::Next, "approval") => was.approval.is_none(),
            (Self::Next, "checklist") => was.checklist.iter().all(|one| is.checklist.contains(one)),
            (Self::Behind | Self::UnderWay | Self::Next, _) => false,
        }
    }

    /// Whether the step in this place may become what it is in the new plan.
    fn check(self, was: &Schedule, is: &Schedule, at: usize) -> Result<(), UnsafeChange> {
        let what = match (was.steps.get(at), is.steps.get(at)) {
            (None, _) => return Ok(()),
            (Some(was), None) => vec![format!("`{was}` is gone")],
            (Some(was), Some(is)) => {
                let differences = was.differences(is).into_iter();
                let forbidden = differences.filter(|one| !self.allows(one, was, is));
                forbidden.map(|one| one.to_string()).collect()
            }
        };
        if what.is_empty() {
            return Ok(());
        }
        Err(UnsafeChange {
            number: at + 1,
            place: self,
            what: what.join("; "),
        })
    }
}

/// What is written down when a reload brings a plan: `None` where it has not begun, and has
/// nothing behind it. `is_asked`: whether what the next step wants has been asked for.
pub fn reloaded(
    rollout: &Rollout,
    (was, is): (&Schedule, &Schedule),
    plan: &str,
    is_asked: bool,
) -> Result<Option<Event>, UnsafeChange> {
    match rollout {
        Rollout::Idle => return Ok(None),
        // A person has it go on, from the step that the plan has then; until then its gates
        // are those that protect what is so.
        Rollout::Done | Rollout::Stopped { .. } => {}
        Rollout::Running(position) => {
            for at in 0..position.step {
                Place::Behind.check(was, is, at)?;
            }
            current(position, was, is, is_asked)?;
        }
    }
    let longest = was.steps.len().max(is.steps.len());
    let first = (0..longest).find(|at| was.steps.get(*at) != is.steps.get(*at));
    let plan = plan.to_owned();
    Ok(Some(match first {
        None => Event::PlanRead { plan },
        Some(first) => Event::StepsChanged {
            first,
            steps: is.steps.iter().map(ToString::to_string).collect(),
            plan,
        },
    }))
}

/// What is written down when a restart brings a plan with another text: an approval for a
/// step that has not been entered is asked for again.
pub fn reread(rollout: &Rollout, plan: &str) -> Vec<Event> {
    let plan = plan.to_owned();
    let mut events = vec![Event::PlanRead { plan }];
    if let Rollout::Running(position) = rollout
        && position.is_approved
        && position.entered.is_none()
    {
        let step = position.step;
        events.push(Event::ApprovalLapsed { step });
    }
    events
}

/// The event that a plan with other steps leads to after a restart: those behind must be as
/// they were.
pub fn restarted(rollout: &Rollout, was: &[String], is: &[String]) -> Option<Event> {
    let Rollout::Running(position) = rollout else {
        return None;
    };
    let differs = |at: &usize| was.get(*at) != is.get(*at);
    let first = (0..=position.step).find(differs)?;
    let word = |steps: &[String]| {
        steps
            .get(first)
            .map_or("nothing", String::as_str)
            .to_owned()
    };
    Some(Event::Stopped {
        why: StopReason::PlanChanged {
            was: word(was),
            is: word(is),
        },
        undo: None,
    })
}

/// Whether the step that a rollout is in, or that it enters next, may become another one.
fn current(
    position: &Position,
    was: &Schedule,
    is: &Schedule,
    is_asked: bool,
) -> Result<(), UnsafeChange> {
    let at = position.step;
    let place = match position.entered {
        Some(_) => Place::Present,
        None if is_asked => Place::UnderWay,
        // Nothing comes any more, and what is so stays.
        None if is.steps.len() <= at => return Ok(()),
        None => Place::Next,
    };
    place.check(was, is, at)
}

fn goes_further(was: StepDoes, is: StepDoes) -> bool {
    match (was.shares(), is.shares()) {
        (Some(was), Some(is)) => is.0 > was.0 || is.1 > was.1,
        // Fewer requests than all go to the service then.
        (None, Some(_)) => was != StepDoes::Switch,
        (_, None) => was != is,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::{Undo, UnixMillis};
    use plan::Plan;

    fn schedule(steps: &str) -> Schedule {
        let text = format!(
            r#"
monolith: {{ url: "http://127.0.0.1:1", database: "postgres://u:p@127.0.0.1:2/m" }}
services: {{ s: {{ url: "http://127.0.0.1:3", database: "postgres://u:p@127.0.0.1:4/s" }} }}
gateway: {{ listen: "127.0.0.1:0" }}
extractions:
  a:
    service: s
    routes: [{{ path: /a }}]
    data: {{ mode: replicate, schema: s, tables: {{ public.a: {{}} }} }}
    rollout: {{ key: {{ header: x }}, steps: [{steps}] }}
"#
        );
        let plan = Plan::parse(&text, |_| None).unwrap();
        let only = plan.extractions.into_values().next().unwrap();
        only.schedule.unwrap()
    }

    fn at(step: usize, has_entered: bool) -> Position {
        Position {
            step,
            entered: has_entered.then_some(UnixMillis(7)),
            permitted: None,
            is_approved: true,
            is_resumed: false,
        }
    }

    const FIVE: &str = "{ reads: 5%, for: 1d }";
    const FIFTY: &str = "{ reads: 50%, for: 1d }";
    const END: &str = "{ reads: 100% }, switch, { watch: 7d }";

    /// In the second of five steps, and before it: each line is what the plan's steps become,
    /// and from which step on they take effect.
    #[test]
    fn steps_to_come_may_be_any_and_the_others_only_stricter() {
        let was = schedule(&format!("{FIVE}, {FIFTY}, {END}"));
        let strict = "{ reads: 50%, for: 1d, approval: lead }";
        let lax = "{ reads: 50%, for: 1d, gates: { requests: 1 } }";
        let longer = "{ reads: 50%, for: 2d }";
        let shorter = "{ reads: 50%, for: 1h }";
        // In the step; before it; and while what it wants has been asked for.
        let cases: [(String, [Option<usize>; 3]); 14] = [
            (
                format!("{FIVE}, {FIFTY}, {END}"),
                [Some(9), Some(9), Some(9)],
            ),
            (
                format!("{FIVE}, {FIFTY}, switch"),
                [Some(2), Some(2), Some(2)],
            ),
            (
                format!("{FIVE}, {FIFTY}, {FIFTY}, {END}"),
                [Some(2), Some(2), Some(2)],
            ),
            (format!("{FIVE}, {FIFTY}"), [Some(2), Some(2), Some(2)]),
            (format!("{FIVE}, {longer}, {END}"), [Some(1), Some(1), None]),
            (format!("{FIVE}, {shorter}, {END}"), [None, Some(1), None]),
            (format!("{FIVE}, {strict}, {END}"), [None, Some(1), None]),
            (format!("{FIVE}, {lax}, {END}"), [None, None, None]),
            (
                format!("{FIVE}, {{ reads: 20% }}, {END}"),
                [None, Some(1), None],
            ),
            (
                format!("{FIVE}, {{ reads: 60%, for: 1d }}, {END}"),
                [None, None, None],
            ),
            // What comes later must not come now instead.
            (format!("{FIVE}, {END}"), [None, None, None]),
            (format!("{FIVE}, switch"), [None, None, None]),
            // Nothing comes any more.
            (FIVE.to_owned(), [None, Some(1), None]),
            (
                format!("{{ reads: 4%, for: 1d }}, {FIFTY}, {END}"),
                [None, None, None],
            ),
        ];
        for (steps, wanted) in &cases {
            let is = schedule(steps);
            let states = [(true, false), (false, false), (false, true)];
            for ((has_entered, is_asked), wanted) in states.into_iter().zip(wanted) {
                let rollout = Rollout::Running(at(1, has_entered));
                let event = reloaded(&rollout, (&was, &is), "digest", is_asked);
                let first = match event {
                    Ok(Some(Event::StepsChanged { first, plan, .. })) if plan == "digest" => {
                        Some(first)
                    }
                    Ok(Some(Event::PlanRead { plan })) if plan == "digest" => Some(9),
                    Err(_) => None,
                    other => panic!("{other:?}"),
                };
                assert_eq!(first, *wanted, "{steps}, {rollout:?}, {is_asked}");
            }
        }
    }

    #[test]
    fn what_is_refused_is_named_with_what_works() {
        let was = schedule(&format!("{FIVE}, {FIFTY}"));
        let said = |position, steps: &str, is_asked| {
            let is = schedule(steps);
            reloaded(&Rollout::Running(position), (&was, &is), "d", is_asked)
                .unwrap_err()
                .to_string()
        };
        let six = format!("{{ reads: 6%, for: 1d }}, {FIFTY}");
        let behind = said(at(1, false), &six, false);
        assert!(behind.starts_with("step 1 is behind it: `reads 5% for 1d` is `reads 6% for 1d`"));
        let present = said(at(0, true), &six, false);
        assert!(present.contains("may only last longer"), "{present}");
        let next = said(at(0, false), &six, false);
        assert!(next.contains("may only shift less"), "{next}");
        let asked = said(at(0, false), &six, true);
        assert!(asked.contains("`banyan reload` again"), "{asked}");
        let gates = said(at(0, true), "{ reads: 5%, for: 1d, approval: lead }", false);
        assert!(gates.contains("`approval` is new, and `lead`"), "{gates}");
        // What may differ is not named.
        let both = "{ reads: 5%, for: 2d, gates: { p95: { max: 1s } } }";
        let present = said(at(0, true), both, false);
        let wanted = "step 1 is the one that it is in: `gates.p95.max` is new, and `1s`. It may";
        assert!(present.starts_with(wanted), "{present}");
    }

    /// Nothing goes on before a person says so.
    #[test]
    fn one_that_has_stopped_takes_any() {
        let was = schedule(&format!("{FIVE}, {FIFTY}"));
        let stopped = Rollout::Stopped {
            position: at(1, true),
            why: StopReason::Changed {
                what: "x".to_owned(),
            },
            undo: Some(Undo::Withdraw),
        };
        let other = schedule("{ reads: 7% }, { reads: 8% }, { reads: 9% }");
        let event = reloaded(&stopped, (&was, &other), "d", true).unwrap();
        assert!(matches!(event, Some(Event::StepsChanged { first: 0, .. })));
        assert_eq!(stopped.clone().evolve(&event.unwrap()), stopped);
        let lax = schedule(&format!(
            "{FIVE}, {{ reads: 50%, gates: {{ requests: 1 }} }}"
        ));
        for other in [&lax, &schedule(FIVE)] {
            let event = reloaded(&stopped, (&was, other), "d", false).unwrap();
            assert!(matches!(event, Some(Event::StepsChanged { first: 1, .. })));
        }
        assert_eq!(reloaded(&Rollout::Idle, (&was, &lax), "d", false), Ok(None));
        let done = reloaded(&Rollout::Done, (&was, &lax), "d", false).unwrap();
        assert!(matches!(done, Some(Event::StepsChanged { first: 1, .. })));
    }

    #[test]
    fn what_was_approved_is_not_what_comes_instead() {
        let changed = |first| Event::StepsChanged {
            first,
            steps: Vec::new(),
            plan: String::new(),
        };
        let waits = || Rollout::Running(at(1, false));
        assert_eq!(waits().evolve(&changed(2)), waits());
        let again = waits().evolve(&changed(1));
        assert!(!again.position().unwrap().is_approved);
        let is_in = Rollout::Running(at(1, true));
        assert_eq!(is_in.clone().evolve(&changed(1)), is_in);
        // A restart knows the words of a step alone.
        let reread = |rollout: Rollout| reread(&rollout, "d").iter().fold(rollout, Rollout::evolve);
        assert!(!reread(waits()).position().unwrap().is_approved);
        assert_eq!(reread(is_in.clone()), is_in);
    }
}

//! What a person's verb leads to, where the steps are.

use super::handle::{GivenVerb, StepVerb};
use crate::status::{NextVerb, RolloutStatus};
use plan::{ExtractionName, Schedule};
use protocol::rollout::{Event, Rollout, Standing, StopReason, stops_again};

/// The event of a verb that a person gives; the error says why there is none. `shown`: what
/// that person could see of the rollout.
pub(super) fn event(
    given: &GivenVerb,
    (rollout, shown): (&Rollout, &RolloutStatus),
    name: &ExtractionName,
    (schedule, standing): (&Schedule, Standing),
) -> Result<Event, String> {
    let by = given.by.clone();
    match (&given.verb, rollout) {
        (StepVerb::Pause | StepVerb::Approve, Rollout::Done) => {
            Err(format!("all steps of `{name}` are done"))
        }
        (StepVerb::Pause, Rollout::Running(_)) => Ok(Event::Stopped {
            why: StopReason::Person {
                by,
                note: given.note.clone(),
            },
            undo: None,
        }),
        (StepVerb::Pause, Rollout::Stopped { .. }) => {
            Err(format!("`{name}` has stopped already: `banyan why {name}`"))
        }
        (StepVerb::Resume(step), Rollout::Idle | Rollout::Stopped { .. } | Rollout::Done) => {
            let count = schedule.steps.len();
            let own = rollout.position().map(|position| position.step + 1);
            let number = step.or(own).ok_or_else(|| {
                format!("`{name}` is in no step. `--step N` says with which one it goes on")
            })?;
            if !(1..=count).contains(&number) {
                return Err(format!("`{name}` has steps 1 to {count}"));
            }
            if let Some((why, fitting)) = stops_again(schedule, number - 1, standing) {
                let remedy = match fitting {
                    Some(fitting) => format!("`banyan resume {name} --step {fitting}` goes on"),
                    None => format!("No step fits that: see `banyan why {name}`"),
                };
                return Err(format!(
                    "with step {number} `{name}` would stop again at once: {why}. {remedy}"
                ));
            }
            Ok(Event::Resumed {
                step: number - 1,
                by,
                steps: schedule.steps.iter().map(ToString::to_string).collect(),
            })
        }
        (StepVerb::Resume(_), Rollout::Running(_)) => Err(format!(
            "`{name}` has not stopped, and goes on by itself. To have it go on with another \
             step, `banyan pause {name}` first"
        )),
        // Each other one would be an approval of what nobody has looked at.
        (StepVerb::Approve, Rollout::Running(position))
            if matches!(shown.asks, Some(NextVerb::Approve { .. })) =>
        {
            Ok(Event::Approved {
                step: position.step,
                by,
                note: given.note.clone(),
            })
        }
        (StepVerb::Approve, _) => Err(format!(
            "no step of `{name}` waits for an approval now, so that nothing was approved. {}",
            waits(shown)
        )),
        (StepVerb::Pause, Rollout::Idle) => Err(format!(
            "the steps of `{name}` have not begun. {}",
            waits(shown)
        )),
    }
}

/// What is waited for instead.
fn waits(shown: &RolloutStatus) -> String {
    let at = shown.step_words();
    let at = at.map_or_else(|| "It".to_owned(), |step| format!("Step {step}"));
    match shown.waits_for.join("; ") {
        nothing if nothing.is_empty() => format!("{at} waits for nothing"),
        waits => format!("{at} waits for {waits}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::Plan;
    use protocol::{Side, rollout::Actor};
    use tokio::sync::oneshot;

    /// A plan whose second step wants an approval.
    const PLAN: &str = r#"
monolith: { url: "http://127.0.0.1:1", database: "postgres://u:p@127.0.0.1:2/m" }
services: { s: { url: "http://127.0.0.1:3", database: "postgres://u:p@127.0.0.1:4/s" } }
gateway: { listen: "127.0.0.1:5" }
extractions:
  orders:
    service: s
    routes: [{ path: /orders }]
    data: { mode: replicate, schema: s, tables: { public.orders: {} } }
    rollout:
      key: { header: x-user }
      steps: [{ reads: 5% }, { reads: 50%, approval: lead }, switch]
"#;

    fn running() -> Rollout {
        let steps = ["reads 5%", "reads 50%", "switch"].map(str::to_owned);
        let began = Event::Began {
            steps: steps.to_vec(),
            plan: "digest".to_owned(),
        };
        let passed = Event::Passed {
            step: 0,
            evidence: Vec::new(),
        };
        Rollout::Idle.evolve(&began).evolve(&passed)
    }

    fn ordered(verb: StepVerb, rollout: &Rollout, shown: &RolloutStatus) -> Result<Event, String> {
        let plan = Plan::parse(PLAN, |_| None).unwrap();
        let name = ExtractionName::new("orders").unwrap();
        let schedule = plan.extractions[&name].schedule.as_ref().unwrap();
        let standing = Standing::Owned {
            by: Side::Monolith,
            reads: plan::Percent::parse("5%").unwrap(),
            writes: None,
        };
        let given = GivenVerb {
            verb,
            by: Actor::Person("ada".to_owned()),
            note: "early".to_owned(),
            expected: None,
            reply: oneshot::channel().0,
        };
        event(&given, (rollout, shown), &name, (schedule, standing))
    }

    fn shown(asks: Option<NextVerb>, waits_for: &str) -> RolloutStatus {
        RolloutStatus {
            state: "running".to_owned(),
            step: Some(2),
            steps: ["reads 5%", "reads 50%", "switch"]
                .map(str::to_owned)
                .into(),
            waits_for: vec![waits_for.to_owned()],
            asks,
            ..RolloutStatus::default()
        }
    }

    #[test]
    fn only_what_waits_for_an_approval_is_approved() {
        let waits = shown(None, "gate `verify`: nothing was compared");
        let refused = ordered(StepVerb::Approve, &running(), &waits).unwrap_err();
        for part in [
            "nothing was approved",
            "Step 2 of 3 (reads 50%) waits for gate `verify`: nothing was compared",
        ] {
            assert!(refused.contains(part), "{refused}");
        }
        let asks = NextVerb::Approve {
            step: 2,
            of: Some("lead".to_owned()),
        };
        let asked = shown(Some(asks), "approval of \"lead\": `banyan approve`");
        let approved = ordered(StepVerb::Approve, &running(), &asked);
        assert!(matches!(approved, Ok(Event::Approved { step: 1, .. })));
        let idle = ordered(StepVerb::Pause, &Rollout::Idle, &RolloutStatus::default());
        assert!(idle.unwrap_err().contains("have not begun"));
    }

    #[test]
    fn what_has_not_stopped_is_to_be_paused_first() {
        let waits = shown(None, "the step's time");
        let refused = ordered(StepVerb::Resume(Some(1)), &running(), &waits).unwrap_err();
        assert!(refused.contains("`banyan pause orders` first"), "{refused}");
    }
}

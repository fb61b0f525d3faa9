//! What comes next, in a sentence: by itself, or by whom and by which command.

use super::asks::steps;
use crate::status::{ExtractionStatus, NextVerb, RolloutStatus};

/// What comes next, where a person is asked for this.
pub fn next(one: &ExtractionStatus, asks: Option<&NextVerb>) -> String {
    if one.owner == "unknown" {
        return with_trouble(one, "it is looked who owns the data");
    }
    let Some(by_steps) = steps(one).and_then(|rollout| of_steps(&one.name, rollout)) else {
        return match asks {
            Some(verb) => of_person(one, verb),
            None => of_phase(one),
        };
    };
    if one.left_readers && one.phase == "following" {
        format!("{by_steps}; {}", readers_left(one))
    } else {
        by_steps
    }
}

/// That a rollback has left readers where they were, and what takes them back.
fn readers_left(one: &ExtractionStatus) -> String {
    format!(
        "the rollback left {}% of the readers at the service: `banyan withdraw {}`",
        one.wanted_reads(),
        one.name
    )
}

/// With what is in the way of it.
fn with_trouble(one: &ExtractionStatus, what: &str) -> String {
    match &one.trouble {
        Some(trouble) => format!("{what}. In the way of that: {trouble}"),
        None => what.to_owned(),
    }
}

fn of_steps(name: &str, rollout: &RolloutStatus) -> Option<String> {
    let count = rollout.steps.len();
    let words = |number: usize| number.checked_sub(1).and_then(|at| rollout.steps.get(at));
    let step =
        |number: usize| words(number).map(|words| format!("step {number} of {count}, {words}"));
    let waits = rollout.waits_for.join("; ");
    let after = if waits.is_empty() {
        String::new()
    } else {
        format!(", after {waits}")
    };
    match (rollout.state.as_str(), rollout.step) {
        (_, now) if let Some(NextVerb::Resume { step }) = rollout.asks => {
            let step = match (step, now) {
                (Some(step), _) => format!(" --step {step}"),
                (None, Some(_)) => String::new(),
                (None, None) => " --step N".to_owned(),
            };
            Some(format!(
                "nothing by itself: `banyan resume {name}{step}` has the steps go on"
            ))
        }
        ("idle", _) => Some(format!("{} begins by itself{after}", step(1)?)),
        ("stopped", _) if rollout.undo_is_due => Some(format!(
            "what the service has is taken back by itself{after}"
        )),
        ("stopped", _) => Some(format!(
            "nothing by itself: the steps have stopped; {waits}"
        )),
        ("running", Some(now)) if rollout.entered_ms.is_none() => {
            Some(format!("{} begins{after}", step(now)?))
        }
        ("running", Some(now)) => Some(match step(now + 1) {
            Some(next) => format!("{next}{after}"),
            None => format!("the steps are done{after}"),
        }),
        _ => None,
    }
}

/// Where each step is a person's.
fn of_person(one: &ExtractionStatus, verb: &NextVerb) -> String {
    let name = &one.name;
    match verb {
        NextVerb::Start => format!("`banyan check`, then `banyan start {name}`"),
        NextVerb::Verify { differences: 0 } => format!("`banyan verify {name}`"),
        NextVerb::Verify { .. } => {
            format!("see to the rows that differ, then `banyan verify {name}`")
        }
        NextVerb::Shift { reads_percent } => {
            let more = if one.wanted_reads() > 0.0 {
                "a larger share: "
            } else {
                ""
            };
            format!("{more}`banyan shift {name} --reads {reads_percent}%`")
        }
        NextVerb::Withdraw => {
            let left = readers_left(one);
            format!("{left}, or forth again: `banyan switch {name}`")
        }
        NextVerb::Switch if one.phase == "shared" => {
            format!("the writes, too: `banyan switch {name}`")
        }
        NextVerb::Switch => format!("`banyan rehearse --hold {name}`, then `banyan switch {name}`"),
        NextVerb::Approve { .. } => format!("`banyan approve {name}`"),
        NextVerb::Resume { .. } => format!("`banyan resume {name}`"),
        NextVerb::Finish => format!("`banyan finish {name}`"),
    }
}

/// Where nobody is asked for anything.
fn of_phase(one: &ExtractionStatus) -> String {
    let name = &one.name;
    match one.phase.as_str() {
        "following" if !one.joining.is_empty() => {
            with_trouble(one, &format!("the copy of {} ends", one.joining.join(", ")))
        }
        "preparing" | "copying" => "the copy ends, and it follows by itself".to_owned(),
        "shared" => "all goes to the service: its routes go under `gateway.routes` of the plan, \
                     instead of the extraction"
            .to_owned(),
        "switching" | "rolling-back" => {
            "it commits, or is undone by itself, within `switch.hold`".to_owned()
        }
        "rehearsing" => "it is undone at its commit point, as planned".to_owned(),
        "switched" => {
            format!("it is watched; `banyan finish {name}` ends the way back, once nobody needs it")
        }
        "cancelling" | "finishing" => {
            "what is Banyan's is taken away, then it has ended".to_owned()
        }
        "finished" => format!(
            "`banyan retire {name}`, until nobody has used the old side for long enough; it stays in \
             the plan until then. Then its routes go under `gateway.routes`: `banyan finish {name}` \
             prints them"
        ),
        _ => "it is looked who owns the data".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{outlook::asks, status::VerifyStatus};

    fn at(phase: &str, reads_percent: f64, differences: Option<u64>) -> ExtractionStatus {
        ExtractionStatus {
            name: "orders".to_owned(),
            phase: phase.to_owned(),
            reads_percent,
            last_verify: differences.map(|differences| VerifyStatus {
                differences,
                ..VerifyStatus::default()
            }),
            ..ExtractionStatus::default()
        }
    }

    #[test]
    fn where_a_person_goes_on_the_command_is_named() {
        for (phase, reads, differences, part) in [
            ("planned", 0.0, None, "banyan start orders"),
            ("following", 0.0, None, "banyan verify orders"),
            ("following", 0.0, Some(2), "see to the rows that differ"),
            ("following", 0.0, Some(0), "--reads 5%"),
            (
                "following",
                20.0,
                Some(0),
                "a larger share: `banyan shift orders --reads 50%`",
            ),
            ("following", 100.0, Some(0), "banyan switch orders"),
            ("switched", 100.0, Some(0), "banyan finish orders"),
            ("", 0.0, None, "looked who owns"),
        ] {
            let one = at(phase, reads, differences);
            let said = next(&one, asks(&one).as_ref());
            assert!(said.contains(part), "{phase}: {said}");
        }
    }

    #[test]
    fn where_steps_go_on_the_next_one_is_named() {
        let steps = ["reads 5% for 24h", "switch", "watch for 14d"].map(str::to_owned);
        let rollout = |state: &str, step, entered_ms, waits: &str| RolloutStatus {
            state: state.to_owned(),
            steps: steps.to_vec(),
            step,
            entered_ms,
            waits_for: vec![waits.to_owned()],
            ..RolloutStatus::default()
        };
        let of = |rollout: RolloutStatus| {
            let mut one = at("following", 5.0, Some(0));
            one.rollout = Some(rollout);
            next(&one, asks(&one).as_ref())
        };
        let found = of(rollout("running", Some(1), Some(7), "the step's time"));
        assert_eq!(found, "step 2 of 3, switch, after the step's time");
        let found = of(rollout("running", Some(2), None, "the switch"));
        assert_eq!(found, "step 2 of 3, switch begins, after the switch");
        let found = of(rollout("running", Some(3), Some(7), "the step's time"));
        assert_eq!(found, "the steps are done, after the step's time");
        let stopped = |undo_is_due| RolloutStatus {
            undo_is_due,
            ..rollout("stopped", Some(1), Some(7), "the withdrawal")
        };
        let found = of(stopped(true));
        assert!(found.contains("taken back by itself"), "{found}");
        let found = of(RolloutStatus {
            waits_for: vec!["`banyan halt --off`: halted by ada".to_owned()],
            ..stopped(false)
        });
        let wanted =
            "nothing by itself: the steps have stopped; `banyan halt --off`: halted by ada";
        assert_eq!(found, wanted);
        for (state, now, step, wanted) in [
            (
                "stopped",
                Some(3),
                Some(2),
                "`banyan resume orders --step 2`",
            ),
            ("stopped", Some(3), None, "`banyan resume orders` has"),
            ("idle", None, None, "`banyan resume orders --step N`"),
        ] {
            let found = of(RolloutStatus {
                asks: Some(NextVerb::Resume { step }),
                ..rollout(state, now, Some(7), "")
            });
            assert!(found.contains(wanted), "{found}");
        }
        let found = of(rollout("done", None, None, ""));
        assert!(found.contains("--reads 10%"), "the phase's: {found}");
    }

    #[test]
    fn where_nothing_is_accepted_what_is_in_the_way_is_named() {
        let of = |one: ExtractionStatus| next(&one, asks(&one).as_ref());
        let broken = |owner: &str, joining: &[&str]| ExtractionStatus {
            owner: owner.to_owned(),
            joining: joining.iter().map(ToString::to_string).collect(),
            trouble: Some("the disk is full".to_owned()),
            ..at("following", 5.0, None)
        };
        let found = of(broken("unknown", &[]));
        let wanted = "it is looked who owns the data. In the way of that: the disk is full";
        assert_eq!(found, wanted);
        let found = of(broken("monolith", &["notes", "tags"]));
        let wanted = "the copy of notes, tags ends. In the way of that: the disk is full";
        assert_eq!(found, wanted);
    }

    #[test]
    fn readers_that_a_rollback_left_are_named() {
        let mut one = ExtractionStatus {
            left_readers: true,
            ..at("following", 20.0, Some(0))
        };
        let left = "the rollback left 20% of the readers at the service: `banyan withdraw orders`";
        let found = next(&one, asks(&one).as_ref());
        assert!(found.starts_with(left), "{found}");
        one.rollout = Some(RolloutStatus {
            state: "stopped".to_owned(),
            step: Some(2),
            asks: Some(NextVerb::Resume { step: Some(1) }),
            ..RolloutStatus::default()
        });
        let found = next(&one, asks(&one).as_ref());
        assert!(
            found.contains("--step 1") && found.ends_with(left),
            "{found}"
        );
    }
}

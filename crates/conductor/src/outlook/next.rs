//! What comes next, in a sentence: by itself, or by whom and by which command.

use crate::status::{ExtractionStatus, RolloutStatus};

/// What comes next.
pub fn next(one: &ExtractionStatus) -> String {
    let by_steps = one.rollout.as_ref();
    let by_steps = by_steps.filter(|_| is_gone_by_steps(&one.phase));
    by_steps
        .and_then(|rollout| of_steps(&one.name, rollout))
        .unwrap_or_else(|| of_phase(one))
}

/// Whether it is for the steps of the plan to say.
fn is_gone_by_steps(phase: &str) -> bool {
    matches!(
        phase,
        "following" | "switched" | "shared" | "switching" | "rolling-back" | "rehearsing"
    )
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
        ("idle", _) => Some(format!("{} begins by itself{after}", step(1)?)),
        ("stopped", _) if !waits.contains("`banyan resume") => Some(format!(
            "what the service has is taken back by itself: {waits}"
        )),
        ("stopped", _) => {
            let from = rollout.resume_step.map(|step| format!(" --step {step}"));
            Some(format!(
                "nothing by itself: `banyan resume {name}{}` has the steps go on",
                from.unwrap_or_default()
            ))
        }
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
fn of_phase(one: &ExtractionStatus) -> String {
    let name = &one.name;
    let verify = one.last_verify.as_ref().map(|last| last.differences);
    match (one.phase.as_str(), verify) {
        ("planned", _) => format!("`banyan check`, then `banyan start {name}`"),
        ("preparing" | "copying", _) => "the copy ends, and it follows by itself".to_owned(),
        ("following", Some(1..)) => {
            format!("see to the rows that differ, then `banyan verify {name}`")
        }
        ("following", _) if one.reads_percent >= 100.0 => {
            format!("`banyan rehearse --hold {name}`, then `banyan switch {name}`")
        }
        ("following", None) if one.reads_percent <= 0.0 => format!("`banyan verify {name}`"),
        ("following", _) if one.reads_percent <= 0.0 => {
            format!("`banyan shift {name} --reads 5%`")
        }
        ("following", _) => format!("a larger share: `banyan shift {name} --reads SHARE`"),
        ("shared", _) => format!("a larger share, or all of it: `banyan switch {name}`"),
        ("switching" | "rolling-back", _) => {
            "it commits, or is undone by itself, within `switch.hold`".to_owned()
        }
        ("rehearsing", _) => "it is undone at its commit point, as planned".to_owned(),
        ("switched", _) => {
            format!("it is watched; `banyan finish {name}` ends the way back, once nobody needs it")
        }
        ("cancelling" | "finishing", _) => {
            "what is Banyan's is taken away, then it has ended".to_owned()
        }
        ("finished", _) => format!(
            "its routes go under `gateway.routes` of the plan: `banyan finish {name}` prints them"
        ),
        _ => "it is looked who owns the data".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::VerifyStatus;

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
            ("following", 20.0, Some(0), "--reads SHARE"),
            ("following", 100.0, Some(0), "banyan switch orders"),
            ("switched", 100.0, Some(0), "banyan finish orders"),
            ("", 0.0, None, "looked who owns"),
        ] {
            let said = next(&at(phase, reads, differences));
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
            next(&one)
        };
        let found = of(rollout("running", Some(1), Some(7), "the step's time"));
        assert_eq!(found, "step 2 of 3, switch, after the step's time");
        let found = of(rollout("running", Some(2), None, "the switch"));
        assert_eq!(found, "step 2 of 3, switch begins, after the switch");
        let found = of(rollout("running", Some(3), Some(7), "the step's time"));
        assert_eq!(found, "the steps are done, after the step's time");
        let found = of(rollout("stopped", Some(1), Some(7), "the withdrawal"));
        assert!(found.contains("taken back by itself"), "{found}");
        let stopped = RolloutStatus {
            resume_step: Some(2),
            ..rollout("stopped", Some(3), Some(7), "`banyan resume`: it")
        };
        let found = of(stopped);
        assert!(found.contains("`banyan resume orders --step 2`"), "{found}");
        let found = of(rollout("done", None, None, ""));
        assert!(found.contains("--reads SHARE"), "the phase's: {found}");
    }
}

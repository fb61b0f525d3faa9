//! Where the steps of a plan are, in lines for people.

use conductor::status::{GateStatus, NextVerb, RolloutStatus};
use report::clock::minute;

/// Where it is and what it waits for: a line each. Then the gates that do not pass.
pub(super) fn lines(name: &str, rollout: &RolloutStatus) -> Vec<String> {
    let count = rollout.steps.len();
    let place = rollout.step.map(|number| {
        let words = number.checked_sub(1).and_then(|at| rollout.steps.get(at));
        let words = words.map_or("the end", String::as_str);
        let since = rollout
            .entered_ms
            .map(|at| format!(", since {}", minute(at)));
        format!(
            "step {number} of {count}, {words}{}",
            since.unwrap_or_default()
        )
    });
    let mut lines = vec![match (rollout.state.as_str(), place) {
        ("idle", _) => format!("{name}: its {count} steps have not begun"),
        ("done", _) => format!("{name}: all {count} steps are done"),
        ("stopped", Some(place)) => format!(
            "{name}: stopped in {place}: {}",
            rollout.why.as_deref().unwrap_or_default()
        ),
        (_, Some(place)) => format!("{name}: {place}"),
        (state, None) => format!("{name}: {state}"),
    }];
    let is_stopped = rollout.state == "stopped";
    // What comes next says it then.
    let comes_next = is_stopped && matches!(rollout.asks, Some(NextVerb::Resume { .. }));
    if !rollout.waits_for.is_empty() && !comes_next {
        let until = rollout
            .until_ms
            .map(|at| format!(", until {} at least", minute(at)));
        let mut waits = rollout.waits_for.join("; ");
        // Why it has stopped stands above.
        if is_stopped && let Some(why) = &rollout.why {
            waits = waits.replace(&format!(": {why}"), "");
        }
        let until = until.unwrap_or_default();
        lines.push(format!("{name}: waits for {waits}{until}"));
    }
    lines.extend(notices(name, rollout));
    let waits = rollout.waits_for.join("; ");
    let open = rollout.gates.iter().filter(|gate| {
        let is_said = waits.contains(&format!("gate `{}`", gate.name));
        // Where it has stopped, nothing waits for what a gate cannot say yet.
        let matters = gate.verdict == "fail" || !is_stopped;
        gate.verdict != "pass" && matters && !is_said
    });
    lines.extend(open.map(|gate| format!("{name}: {}", gate_text(gate))));
    lines
}

/// That a halt holds it back, where what it waits for does not say so yet: a halt counts at
/// once, and its steps look at it a moment later.
pub(super) fn halt_line(
    name: &str,
    halted: Option<&str>,
    rollout: &RolloutStatus,
) -> Option<String> {
    let why = halted.filter(|_| rollout.state != "done")?;
    let is_said = rollout.waits_for.iter().any(|one| one.contains(why));
    (!is_said).then(|| format!("{name}: {why}. It goes on after `banyan halt --off`"))
}

/// What does not go as the plan says.
pub(super) fn notices(name: &str, rollout: &RolloutStatus) -> Vec<String> {
    let mut lines = Vec::new();
    if !rollout.changed.is_empty() {
        lines.push(format!(
            "{name}: the plan has other steps than it was begun by: {}",
            rollout.changed.join("; ")
        ));
    }
    if let Some(refused) = &rollout.steps_refused {
        lines.push(format!(
            "{name}: the plan's other steps do not count: {refused}"
        ));
    }
    if let Some(refused) = &rollout.refused {
        lines.push(format!("{name}: refused, and asked for again: {refused}"));
    }
    lines
}

fn gate_text(gate: &GateStatus) -> String {
    let dry = if gate.dry_run {
        " (decides nothing)"
    } else {
        ""
    };
    format!(
        "gate `{}`{dry}: {}: {}",
        gate.name,
        gate.verdict.replace('-', " "),
        gate.text
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(name: &str, verdict: &str) -> GateStatus {
        GateStatus {
            name: name.to_owned(),
            verdict: verdict.to_owned(),
            text: format!("as {name} found"),
            ..GateStatus::default()
        }
    }

    /// One that a gate has stopped, whose gates count anew.
    fn stopped() -> RolloutStatus {
        let why = "gate `p95` failed: 63.30% of 188 requests were slower".to_owned();
        RolloutStatus {
            state: "stopped".to_owned(),
            step: Some(1),
            steps: vec!["reads 50% for 40s".to_owned(), "switch".to_owned()],
            waits_for: vec![format!("`banyan resume`: {why}")],
            why: Some(why),
            gates: vec![gate("p95", "unknown"), gate("requests", "needs-more")],
            ..RolloutStatus::default()
        }
    }

    #[test]
    fn why_it_has_stopped_is_said_once() {
        let lines = lines("contracts", &stopped());
        assert_eq!(
            lines,
            [
                "contracts: stopped in step 1 of 2, reads 50% for 40s: gate `p95` failed: 63.30% \
                 of 188 requests were slower",
                "contracts: waits for `banyan resume`",
            ]
        );
    }

    #[test]
    fn a_halt_is_told_at_once_and_once() {
        let mut rollout = stopped();
        assert_eq!(halt_line("contracts", None, &rollout), None);
        let halted = Some("halted by ada: incident 7");
        let line = halt_line("contracts", halted, &rollout).unwrap();
        let wanted = "contracts: halted by ada: incident 7. It goes on after `banyan halt --off`";
        assert_eq!(line, wanted);
        rollout.waits_for = vec!["`banyan halt --off`: halted by ada: incident 7".to_owned()];
        assert_eq!(halt_line("contracts", halted, &rollout), None);
    }

    #[test]
    fn what_comes_next_is_said_once() {
        let asked = RolloutStatus {
            asks: Some(NextVerb::Resume { step: None }),
            ..stopped()
        };
        assert_eq!(
            lines("contracts", &asked),
            lines("contracts", &stopped())[..1]
        );
    }

    #[test]
    fn what_harms_is_said_of_a_stopped_one_and_all_that_is_waited_for_of_one_that_runs() {
        let mut rollout = stopped();
        rollout.gates.push(gate("error-rate", "fail"));
        let last = lines("contracts", &rollout).pop().unwrap();
        assert_eq!(
            last,
            "contracts: gate `error-rate`: fail: as error-rate found"
        );
        rollout.state = "running".to_owned();
        let count = lines("contracts", &rollout).len();
        assert_eq!(count, 2 + 2);
    }
}

//! Where the steps of a plan are, in lines for people.

use conductor::status::{GateStatus, RolloutStatus};
use report::clock::minute;

/// Where it is, what it waits for and what would take it back: a line each. Then the
/// gates that do not pass.
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
    if !rollout.waits_for.is_empty() {
        let until = rollout
            .until_ms
            .map(|at| format!(", until {} at least", minute(at)));
        lines.push(format!(
            "{name}: waits for {}{}",
            rollout.waits_for.join("; "),
            until.unwrap_or_default()
        ));
    }
    if let Some(refused) = &rollout.refused {
        lines.push(format!("{name}: refused, and asked for again: {refused}"));
    }
    if let Some(undo) = &rollout.undo {
        lines.push(format!("{name}: {undo}"));
    }
    let waits = rollout.waits_for.join("; ");
    let open = rollout.gates.iter().filter(|gate| {
        let is_said = waits.contains(&format!("gate `{}`", gate.name));
        gate.verdict != "pass" && !is_said
    });
    lines.extend(open.map(|gate| format!("{name}: {}", gate_text(gate))));
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

//! Gates of the steps that could not be measured as things are.

use crate::serve::gauges::{Outside, is_there};
use plan::{GateSource, MeasuredGate, Plan};
use protocol::finding::{Finding, FindingId};
use std::time::Duration;

/// The longest that somebody who waits for `check` waits for an answer.
const LIMIT: Duration = Duration::from_secs(5);

/// Asks each Prometheus its query, and looks for each command. Webhooks are not asked: a
/// question may have effects.
pub(super) async fn of(plan: &Plan) -> Vec<Finding> {
    let outside = Outside::new();
    let mut found: Vec<Finding> = Vec::new();
    for (name, extraction) in &plan.extractions {
        let steps = extraction.schedule.iter().flat_map(|one| &one.steps);
        let mut seen: Vec<&MeasuredGate> = Vec::new();
        for gate in steps.flat_map(|step| &step.gates.measured) {
            // A gate of all steps is in each of them.
            if seen.contains(&gate) {
                continue;
            }
            seen.push(gate);
            if let Err(why) = look(&outside, gate).await {
                let object = format!("gate `{}` of {name}", gate.name);
                found.push(Finding::warn(
                    FindingId::GateCannotWork,
                    object,
                    why,
                    "Until it is measured, the step goes on waiting",
                ));
            }
        }
    }
    found
}

async fn look(outside: &Outside, gate: &MeasuredGate) -> Result<(), String> {
    match &gate.source {
        GateSource::Prometheus(query) => {
            let limit = gate.timeout.min(LIMIT);
            let asked = outside.reaches(query, limit).await;
            asked.map_err(|why| format!("{}: {why}", query.server))
        }
        GateSource::Command(words) => {
            let program = words.first().map_or("", String::as_str);
            if is_there(program) {
                Ok(())
            } else {
                Err(format!("`{program}` is not there to be run"))
            }
        }
        GateSource::Webhook(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_not_there_is_found_once() {
        let text = r#"
monolith: { url: "http://127.0.0.1:1" }
services: { a: { url: "http://127.0.0.1:2" } }
gateway: { listen: "127.0.0.1:3" }
extractions:
  one:
    service: a
    routes: [{ path: /one }]
    data: { mode: shared }
    rollout:
      key: { header: x-user-id }
      steps: [{ reads: 5%, writes: 0% }, { reads: 10%, writes: 0% }]
      gates:
        prometheus: { saturation: { server: "http://127.0.0.1:1", query: up, max: 1 } }
        webhook: { lead: { url: "http://127.0.0.1:1" } }
        command: { gone: { run: [no-such-program] }, there: { run: [sh, -c, exit] } }
"#;
        let found = of(&Plan::parse(text, |_| None).unwrap()).await;
        let objects: Vec<&str> = found.iter().map(|one| one.object.as_str()).collect();
        let expected = [
            "gate `prometheus saturation` of one",
            "gate `command gone` of one",
        ];
        assert_eq!(objects, expected);
    }
}

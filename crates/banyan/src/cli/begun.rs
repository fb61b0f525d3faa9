//! What has begun and does not go with the plan, for `banyan check`.

use crate::client::Client;
use mover::Mover;
use plan::Plan;
use protocol::finding::{Finding, FindingId};
use std::path::Path;

/// The phase of one that the service keeps for good.
pub(super) const FINISHED: &str = "finished";

/// Extractions that have begun with other tables, or that the plan leaves out.
/// What cannot be asked is not refused: `check` looks at it elsewhere.
pub(super) async fn otherwise(plan: &Plan, phases: &[(String, String)]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (extraction, data) in plan.replicated() {
        let mover = Mover::new(&extraction.name, data);
        found.extend(mover.begun_otherwise().await.unwrap_or_default());
    }
    let planned = |name: &str| plan.extractions.keys().any(|one| one.as_str() == name);
    for (name, phase) in phases {
        if phase != FINISHED && !planned(name) {
            let end = match phase.as_str() {
                "switched" => format!("`banyan finish {name}`"),
                "shared" => format!("`banyan withdraw {name}` and `banyan cancel {name}`"),
                _ => format!("`banyan cancel {name}`"),
            };
            found.push(Finding::refuse(
                FindingId::BegunOtherwise,
                format!("the extraction `{name}`"),
                format!("it is {phase}, and the plan leaves it out"),
                format!("Put it back, or end it first by the old plan: {end}"),
            ));
        }
    }
    found
}

/// What was started by this state directory and not cancelled, with its phase, as its
/// `serve` says, or its journal where none runs.
pub(super) async fn phases(state: &Path) -> Vec<(String, String)> {
    if let Ok(client) = Client::find(state)
        && let Ok(status) = client.status().await
    {
        let all = status.extractions.into_iter();
        return all
            .filter(|one| one.phase != "planned")
            .map(|one| (one.name, one.phase))
            .collect();
    }
    conductor::Journal::phases_in(state)
        .await
        .unwrap_or_default()
}

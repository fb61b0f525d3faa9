//! What has begun and does not go with the plan, for `banyan check`.

use crate::client::Client;
use mover::Mover;
use plan::Plan;
use protocol::finding::{Finding, FindingId};
use std::path::Path;

/// Extractions that have begun with other tables, or that the plan leaves out.
/// What cannot be asked is not refused: `check` looks at it elsewhere.
pub(super) async fn otherwise(plan: &Plan, state: &Path) -> Vec<Finding> {
    let mut found = Vec::new();
    for (extraction, data) in plan.replicated() {
        let mover = Mover::new(&extraction.name, data);
        found.extend(mover.begun_otherwise().await.unwrap_or_default());
    }
    let planned = |name: &str| plan.extractions.keys().any(|one| one.as_str() == name);
    for (name, phase) in under_way(state).await {
        if !planned(&name) {
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

/// What the `serve` of this state directory has begun, with its phase; none if
/// none runs and none has.
async fn under_way(state: &Path) -> Vec<(String, String)> {
    if let Ok(client) = Client::find(state)
        && let Ok(status) = client.status().await
    {
        let begun = |phase: &str| !matches!(phase, "planned" | "finished");
        let all = status.extractions.into_iter();
        return all
            .filter(|one| begun(&one.phase))
            .map(|one| (one.name, one.phase))
            .collect();
    }
    let begun = conductor::Journal::begun_in(state).await;
    begun.unwrap_or_default().into_iter().collect()
}

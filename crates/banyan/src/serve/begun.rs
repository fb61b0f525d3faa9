//! Refuses a plan that does not go with what has begun: other tables, or an
//! extraction that is left out.

use futures_util::future::join_all;
use mover::Mover;
use plan::Plan;
use std::time::Duration;

/// The longest that it is looked where nothing is served yet. A database that does
/// not answer refuses nothing: it must not keep the gateway from what it can serve.
pub(super) const UNSERVED: Duration = Duration::from_secs(3);

/// The same where another process, or the plan before, serves meanwhile.
pub(super) const SERVED: Duration = Duration::from_secs(30);

/// What stands in the way of going by this plan; from `old`, if another one is
/// gone by now. It is looked for so long at most.
pub(super) async fn refusals(old: Option<&Plan>, new: &Plan, limit: Duration) -> Vec<String> {
    let tables = new.replicated().map(|(extraction, data)| async {
        let mover = Mover::new(&extraction.name, data);
        match tokio::time::timeout(limit, mover.begun_otherwise()).await {
            Ok(Ok(found)) => found.iter().map(ToString::to_string).collect(),
            Ok(Err(error)) => {
                tracing::warn!(extraction = %extraction.name, %error, "what has begun is not known");
                Vec::new()
            }
            Err(_) => {
                tracing::warn!(extraction = %extraction.name, "what has begun is not known");
                Vec::new()
            }
        }
    });
    let mut found: Vec<String> = join_all(tables).await.into_iter().flatten().collect();
    let Some(old) = old else { return found };
    for (extraction, data) in old.replicated() {
        let name = &extraction.name;
        if new.extractions.contains_key(name) {
            continue;
        }
        let mover = Mover::new(name, data);
        if let Ok(Ok(Some(end))) = tokio::time::timeout(limit, mover.begun()).await {
            found.push(format!(
                "the extraction `{name}`: it has begun, and the plan leaves it out. Put it back, or \
                 {end}"
            ));
        }
    }
    found
}

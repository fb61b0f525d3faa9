//! What checklists' items are checked with, and does not work as things are.

use crate::serve::item_checks::reach_prometheus;
use mover::{MoverError, database::session::Session};
use plan::{DatabaseUrl, Plan};
use protocol::{
    Side,
    finding::{Finding, FindingId, Remedy},
};
use std::time::Duration;
use tokio::time::timeout;

/// The longest that somebody who waits for `check` waits for an answer.
const LIMIT: Duration = Duration::from_secs(5);

const MAY_MAKE: &str = "select rolcreatedb or rolsuper from pg_roles where rolname = current_user";

/// Asks what the plan names under `checklists`.
pub(super) async fn of(plan: &Plan) -> Vec<Finding> {
    let (alerts, backup) = tokio::join!(prometheus(plan), scratch(plan));
    alerts.into_iter().chain(backup).collect()
}

async fn prometheus(plan: &Plan) -> Option<Finding> {
    let server = plan.checklists.prometheus.as_ref()?;
    let asked = timeout(LIMIT, reach_prometheus(server.as_str())).await;
    let answered = asked.unwrap_or_else(|_| Err(format!("{server} did not answer in {LIMIT:?}")));
    Some(Finding::warn(
        FindingId::ItemCannotBeChecked,
        "`checklists.prometheus`, for `alerts`",
        answered.err()?,
        "Correct the address, or start Prometheus: until then `alerts` fails",
    ))
}

async fn scratch(plan: &Plan) -> Option<Finding> {
    let database = plan.checklists.scratch.as_ref()?;
    let tried = timeout(LIMIT, may_make(database)).await;
    let (problem, remedy) = match tried {
        Err(_) => (
            format!("it did not answer in {LIMIT:?}"),
            "Start it, or correct the address",
        ),
        Ok(Ok(true)) => return None,
        Ok(Ok(false)) => (
            format!("`{}` may make no database there", database.user),
            "Let the role do that: `alter role NAME createdb`",
        ),
        Ok(Err(MoverError::Connect { reason, remedy, .. })) => {
            (format!("it cannot be used: {reason}"), remedy)
        }
        Ok(Err(error)) => (error.to_string(), "Correct the address"),
    };
    Some(Finding::warn(
        FindingId::ItemCannotBeChecked,
        format!("`checklists.scratch`, for `backup`: {database}"),
        problem,
        Remedy::from(format!("{remedy}. Until then `backup` fails")),
    ))
}

/// Whether the role may make a database to restore into.
async fn may_make(database: &DatabaseUrl) -> Result<bool, MoverError> {
    // It is of no side; an error says so by its address.
    let session = Session::open(Side::Monolith, database).await?;
    let asked = session.query_one(MAY_MAKE, &[]).await;
    let row = asked.map_err(MoverError::sql(Side::Monolith, "reading what the role may"))?;
    Ok(row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_answer_is_found() {
        let text = |checklists: &str| {
            format!(
                "monolith: {{ url: http://127.0.0.1:1 }}\ngateway: {{ listen: 127.0.0.1:2 }}\n\
                 checklists: {checklists}\n"
            )
        };
        let found = async |checklists: &str| {
            let found = of(&Plan::parse(&text(checklists), |_| None).unwrap()).await;
            found.into_iter().map(|one| one.object).collect::<Vec<_>>()
        };
        assert!(found("{}").await.is_empty());
        let both = "{ prometheus: \"http://127.0.0.1:1\", \
                    scratch: \"postgres://u:hush@127.0.0.1:1/scratch\" }";
        assert_eq!(
            found(both).await,
            [
                "`checklists.prometheus`, for `alerts`",
                "`checklists.scratch`, for `backup`: postgres://u@127.0.0.1:1/scratch"
            ]
        );
    }
}

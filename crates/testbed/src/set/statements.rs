//! The queries of seed 000: one for Prometheus, two in SQL.

use super::calls::Outcome;
use super::{Set, members};
use crate::{cluster, deadline};
use anyhow::{Context, Result};
use std::time::Duration;

/// Its service is called as it calls itself, `auth`.
const FAILURES: &str = r#"rate(http_requests_total{service="auth", status="5xx"}[5m]) > 0.01"#;

/// For who analyses the service analytics.
const SLOW_ENDPOINTS: &str = "SELECT endpoint, avg(response_time) FROM metrics
GROUP BY endpoint
ORDER BY avg(response_time) DESC
LIMIT 10;";

/// Services report each second, and try again when they could not.
const REPORTED_LIMIT: Duration = Duration::from_mins(1);

const CONNECTIONS: &str = "SELECT count(*) FROM pg_stat_activity";

/// Runs those for which there is something to run them against.
pub async fn run(set: &Set) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    if let Some(prometheus) = set.prometheus() {
        // Nothing has failed, so nothing is found; it must be understood.
        let found = prometheus.query(FAILURES).await.map(drop);
        outcomes.push(outcome("Example monitoring query", FAILURES, found));
    }
    let counted = count_connections(set).await;
    outcomes.push(outcome(
        "Monitor database connections",
        CONNECTIONS,
        counted,
    ));
    if members::member("analytics").is_some_and(members::Member::is_present) {
        let found = find_slow_endpoints(set).await;
        outcomes.push(outcome("Identify slow endpoints", SLOW_ENDPOINTS, found));
    }
    outcomes
}

fn outcome(purpose: &'static str, command: &str, result: Result<()>) -> Outcome {
    Outcome {
        purpose,
        command: command.to_owned(),
        problem: result.err().map(|error| format!("{error:#}")),
    }
}

async fn count_connections(set: &Set) -> Result<()> {
    let superuser = set.cluster().superuser("postgres").await?;
    let count: i64 = superuser.query_one(CONNECTIONS, &[]).await?.get(0);
    anyhow::ensure!(count > 0, "it counts none");
    Ok(())
}

/// As written, by a role that has the table in its search path. The services
/// tell of what they answered in the calls before, after a second.
async fn find_slow_endpoints(set: &Set) -> Result<()> {
    let member = members::member("analytics").context("no analytics")?;
    let url = set.cluster().url(&member.app_role(), member.package)?;
    let client = cluster::connect_url(&url).await?;
    deadline::until("an endpoint in `metrics`", REPORTED_LIMIT, async || {
        let rows = client.query(SLOW_ENDPOINTS.trim_end_matches(';'), &[]);
        Ok((!rows.await?.is_empty()).then_some(()))
    })
    .await
}

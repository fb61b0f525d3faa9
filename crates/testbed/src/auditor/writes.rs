//! How often each reference of a run is there.

use super::findings::Side;
use anyhow::Result;
use std::collections::BTreeMap;
use tokio_postgres::Client;

const DOCUMENTS: &str = "public.documents_document";

fn events_table(side: Side) -> &'static str {
    match side {
        Side::Monolith => "public.contracts_contractevent",
        Side::Service => "contract_service.events",
    }
}

/// References of this run's events, with how often each is there.
pub(super) async fn events(
    client: &Client,
    side: Side,
    run: &str,
) -> Result<BTreeMap<String, i64>> {
    references(client, events_table(side), run).await
}

/// References of this run's documents, with how often each is there.
pub(super) async fn documents(client: &Client, run: &str) -> Result<BTreeMap<String, i64>> {
    references(client, DOCUMENTS, run).await
}

/// How many events are not of this run.
pub(super) async fn count_of_others(client: &Client, side: Side, run: &str) -> Result<i64> {
    others(client, events_table(side), run).await
}

/// How many documents are not of this run.
pub(super) async fn documents_of_others(client: &Client, run: &str) -> Result<i64> {
    others(client, DOCUMENTS, run).await
}

async fn references(client: &Client, table: &str, run: &str) -> Result<BTreeMap<String, i64>> {
    let sql = format!(
        "SELECT reference, count(*) FROM {table} WHERE starts_with(reference, $1) GROUP BY 1"
    );
    let rows = client.query(&sql, &[&run]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

async fn others(client: &Client, table: &str, run: &str) -> Result<i64> {
    let sql = format!("SELECT count(*) FROM {table} WHERE NOT starts_with(reference, $1)");
    Ok(client.query_one(&sql, &[&run]).await?.get(0))
}

//! How often each reference of a run is there.

use super::findings::Side;
use crate::workload::Target;
use anyhow::Result;
use std::collections::BTreeMap;
use tokio_postgres::Client;

/// The table that holds the references of some writes, and its column.
fn place(target: Target, side: Side) -> (&'static str, &'static str) {
    match (target, side) {
        (Target::Event, Side::Monolith) => ("public.contracts_contractevent", "reference"),
        (Target::Event, Side::Service) => ("contract_service.events", "reference"),
        (Target::Document, Side::Monolith) => ("public.documents_document", "reference"),
        (Target::Document, Side::Service) => ("public.documents", "reference"),
        (Target::User, Side::Monolith) => ("public.auth_user", "username"),
        (Target::User, Side::Service) => ("identity_service.auth_user", "username"),
    }
}

/// References of this run's writes, with how often each is there.
pub(super) async fn references(
    client: &Client,
    (target, side): (Target, Side),
    run: &str,
) -> Result<BTreeMap<String, i64>> {
    let (table, column) = place(target, side);
    let sql = format!(
        "SELECT {column}, count(*) FROM {table} WHERE starts_with({column}, $1) GROUP BY 1"
    );
    let rows = client.query(&sql, &[&run]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// How many are not of this run.
pub(super) async fn count_of_others(
    client: &Client,
    (target, side): (Target, Side),
    run: &str,
) -> Result<i64> {
    let (table, column) = place(target, side);
    let sql = format!("SELECT count(*) FROM {table} WHERE NOT starts_with({column}, $1)");
    Ok(client.query_one(&sql, &[&run]).await?.get(0))
}

//! The judge: compares two databases by SQL of its own, and what writers were
//! told with what is there. It knows nothing of how the rows came.

use super::{Acknowledged, LEDGER, Schema, quoted};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use tokio_postgres::Client;

/// What changes how a row reads as text.
const SETTINGS: &str = "set timezone = 'UTC'; set datestyle = 'ISO'; set intervalstyle = 'postgres'; \
    set bytea_output = 'hex'; set extra_float_digits = 1; set row_security = off";

/// How many rows of a difference are shown.
const MOST_SHOWN: usize = 3;

/// A database, and where in it the tables are.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// A session that sees everything.
    pub client: &'a Client,
    /// The schema.
    pub schema: &'a str,
}

/// Compares all tables, generated columns among them. Says how many rows there
/// are; an error shows some that differ.
pub async fn compare(schema: &Schema, one: Place<'_>, other: Place<'_>) -> Result<u64> {
    let mut rows = 0;
    for place in [one, other] {
        place.client.batch_execute(SETTINGS).await?;
    }
    let ledger = (LEDGER, "id, at".to_owned());
    let tables = schema.tables.iter();
    let tables = tables.map(|table| (table.name.as_str(), table.column_list()));
    for (name, columns) in tables.chain([ledger]) {
        let (here, there) =
            tokio::try_join!(digest(one, name, &columns), digest(other, name, &columns))?;
        if here != there {
            let (here, there) = (
                lines(one, name, &columns).await?,
                lines(other, name, &columns).await?,
            );
            let only = |some: &BTreeSet<String>, others: &BTreeSet<String>| {
                let only = some.difference(others).take(MOST_SHOWN);
                only.map(|row| shortened(row))
                    .collect::<Vec<_>>()
                    .join("\n  ")
            };
            anyhow::bail!(
                "table {name} differs ({columns}):\n{} rows in {}, of them alone there:\n  {}\n{} rows in {}, \
                 of them alone there:\n  {}",
                here.len(),
                one.schema,
                only(&here, &there),
                there.len(),
                other.schema,
                only(&there, &here)
            );
        }
        rows += u64::try_from(here.0)?;
    }
    Ok(rows)
}

/// The ledger has each transaction that was acknowledged, and no other.
pub async fn ensure_as_told(place: Place<'_>, told: &[Acknowledged]) -> Result<usize> {
    let select = format!("select id::text from {}.{LEDGER}", place.schema);
    let rows = place.client.query(&select, &[]).await?;
    let found: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    let told: BTreeSet<String> = told
        .iter()
        .flat_map(|told| told.acknowledged.iter().cloned())
        .collect();
    let lost: Vec<&String> = told.difference(&found).take(MOST_SHOWN).collect();
    let unheard: Vec<&String> = found.difference(&told).take(MOST_SHOWN).collect();
    ensure!(
        lost.is_empty() && unheard.is_empty(),
        "in {}: acknowledged and lost: {lost:?}; there and never acknowledged: {unheard:?}",
        place.schema
    );
    Ok(found.len())
}

async fn digest(place: Place<'_>, name: &str, columns: &str) -> Result<(i64, String)> {
    let query = format!(
        "select count(*), md5(coalesce(string_agg(h, '' order by h), '')) \
         from (select md5(row({columns})::text) as h from {}.{}) q",
        place.schema,
        quoted(name)
    );
    let row = place.client.query_one(&query, &[]).await;
    let row = row.with_context(|| query.clone())?;
    Ok((row.get(0), row.get(1)))
}

async fn lines(place: Place<'_>, name: &str, columns: &str) -> Result<BTreeSet<String>> {
    let query = format!(
        "select row({columns})::text from {}.{}",
        place.schema,
        quoted(name)
    );
    let rows = place.client.query(&query, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The parts of a row, the long ones by their length.
fn shortened(row: &str) -> String {
    let text: String = row.chars().take(600).collect();
    if text.len() < row.len() {
        return format!("{text}... ({} bytes)", row.len());
    }
    text
}

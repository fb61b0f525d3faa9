//! How the plan had each table written when the extraction began.
//!
//! Kept by *prepare*, in the transaction that writes the ownership row. An
//! extraction that an earlier version began has only its fences, which say it as
//! long as they are up.

use super::{fence, schema};
use crate::{
    catalog::MovedTable,
    database::sql,
    error::MoverError,
    layout::{Layout, SCHEMA},
};
use plan::{TableName, TableWrites};
use protocol::Side;
use std::collections::BTreeMap;
use tokio_postgres::{GenericClient, Transaction};

/// Keeps it for the tables of a side that are not known yet.
pub(crate) async fn keep(
    transaction: &Transaction<'_>,
    side: Side,
    layout: &Layout,
    tables: &[MovedTable],
) -> Result<(), MoverError> {
    let names: Vec<String> = tables
        .iter()
        .map(|table| sql::table(table.name(side)))
        .collect();
    let writes: Vec<&str> = tables
        .iter()
        .map(|table| table.mapping.writes.as_str())
        .collect();
    let insert = format!(
        "insert into {SCHEMA}.declared (extraction, relation, writes) \
         select $1, * from unnest($2::text[], $3::text[]) on conflict do nothing"
    );
    transaction
        .execute(&insert, &[&layout.extraction(), &names, &writes])
        .await
        .map(drop)
        .map_err(MoverError::sql(side, "keeping how the tables are written"))
}

/// How each table of a side was declared, as far as anything says it.
pub(crate) async fn read(
    client: &impl GenericClient,
    side: Side,
    layout: &Layout,
) -> Result<BTreeMap<String, TableWrites>, MoverError> {
    let wrap = || MoverError::sql(side, "reading how the tables are written");
    let fenced = fence::declared(client, side, layout).await?;
    let mut found: BTreeMap<String, TableWrites> = fenced
        .into_iter()
        .filter_map(|(table, word)| Some((sql::table(&table), by_word(&word)?)))
        .collect();
    if !schema::has(client, side, "declared").await? {
        return Ok(found);
    }
    let select = format!("select relation, writes from {SCHEMA}.declared where extraction = $1");
    let rows = client.query(&select, &[&layout.extraction()]).await;
    for row in rows.map_err(wrap())? {
        if let Some(writes) = by_word(row.get(1)) {
            found.insert(row.get(0), writes);
        }
    }
    Ok(found)
}

fn by_word(word: &str) -> Option<TableWrites> {
    let all = [TableWrites::Owner, TableWrites::Append, TableWrites::Split];
    all.into_iter().find(|writes| writes.as_str() == word)
}

/// The name under which [`read`] has a table.
pub(crate) fn key(table: &TableName) -> String {
    sql::table(table)
}

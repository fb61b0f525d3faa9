//! The publication of a side's tables.

use crate::{catalog::MovedTable, database::sql, error::MoverError, layout::Layout};
use plan::TableName;
use protocol::Side;
use std::collections::BTreeSet;
use tokio_postgres::{GenericClient, Transaction};

/// Makes the publication of this side's tables, or brings it up to date.
pub(crate) async fn publish(
    transaction: &Transaction<'_>,
    side: Side,
    layout: &Layout,
    tables: &[MovedTable],
) -> Result<(), MoverError> {
    let wrap = || MoverError::sql(side, "making the publication");
    let publication = layout.publication();
    let names: BTreeSet<&TableName> = tables.iter().map(|table| table.name(side)).collect();
    let list = sql::tables(names.iter().copied());
    let quoted = sql::identifier(&publication);
    let exists = transaction
        .query_opt(
            "select 1 from pg_publication where pubname = $1",
            &[&publication],
        )
        .await
        .map_err(wrap())?;
    let statement = if exists.is_none() {
        format!(
            "create publication {quoted} for table {list} \
             with (publish = 'insert, update, delete, truncate')"
        )
    } else if published(transaction, side, &publication)
        .await?
        .iter()
        .collect::<BTreeSet<_>>()
        == names
    {
        return Ok(());
    } else {
        format!("alter publication {quoted} set table {list}")
    };
    transaction.batch_execute(&statement).await.map_err(wrap())
}

/// The tables of a publication.
pub(crate) async fn published(
    client: &impl GenericClient,
    side: Side,
    publication: &str,
) -> Result<Vec<TableName>, MoverError> {
    let rows = client
        .query(
            "select schemaname::text, tablename::text from pg_publication_tables \
             where pubname = $1 order by 1, 2",
            &[&publication],
        )
        .await
        .map_err(MoverError::sql(side, "reading the publication"))?;
    let name = |row: &tokio_postgres::Row| TableName {
        schema: row.get(0),
        table: row.get(1),
    };
    Ok(rows.iter().map(name).collect())
}

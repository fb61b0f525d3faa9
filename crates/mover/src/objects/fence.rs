//! The triggers that refuse writes: which tables have them, and putting them up.

use crate::{
    error::MoverError,
    layout::{FENCE_TRIGGER, FenceScope, Layout},
};
use plan::TableName;
use protocol::Side;
use tokio_postgres::{GenericClient, Transaction};

/// Fences of an extraction: their first argument is its name.
const FENCED: &str = "select n.nspname::text, c.relname::text \
    from pg_trigger t join pg_class c on c.oid = t.tgrelid \
    join pg_namespace n on n.oid = c.relnamespace \
    where t.tgname = $2 and not t.tgisinternal \
      and position(convert_to($1, 'UTF8') || '\\x00'::bytea in t.tgargs) = 1 \
    order by 1, 2";

/// Those of them with their arguments.
const DECLARED: &str = "select n.nspname::text, c.relname::text, t.tgargs \
    from pg_trigger t join pg_class c on c.oid = t.tgrelid \
    join pg_namespace n on n.oid = c.relnamespace \
    where t.tgname = $2 and not t.tgisinternal \
      and position(convert_to($1, 'UTF8') || '\\x00'::bytea in t.tgargs) = 1";

/// Those of them on tables that both sides insert into: their last argument
/// says so.
const APPENDED: &str = "select n.nspname::text, c.relname::text \
    from pg_trigger t join pg_class c on c.oid = t.tgrelid \
    join pg_namespace n on n.oid = c.relnamespace \
    where t.tgname = $2 and not t.tgisinternal \
      and position(convert_to($1, 'UTF8') || '\\x00'::bytea in t.tgargs) = 1 \
      and position('\\x00617070656e6400'::bytea in t.tgargs) > 0 \
    order by 1, 2";

/// Whether a table exists and has a fence that fires always.
pub(crate) async fn is_fenced(
    client: &impl GenericClient,
    side: Side,
    table: &TableName,
) -> Result<bool, MoverError> {
    let found = client
        .query_opt(
            "select 1 from pg_trigger f join pg_class c on c.oid = f.tgrelid \
             join pg_namespace n on n.oid = c.relnamespace \
             where n.nspname = $1 and c.relname = $2 and f.tgname = $3 and f.tgenabled = 'A'",
            &[&table.schema, &table.table, &FENCE_TRIGGER],
        )
        .await
        .map_err(MoverError::sql(side, "looking for the fence"))?;
    Ok(found.is_some())
}

/// The tables of a side that have a fence of this extraction, whatever the
/// plan says.
pub(crate) async fn fenced_tables(
    client: &impl GenericClient,
    side: Side,
    layout: &Layout,
) -> Result<Vec<TableName>, MoverError> {
    tables(client, side, layout, FENCED).await
}

/// The tables of a side that both sides insert into, by their fences, whatever
/// the plan says.
pub(crate) async fn appended_tables(
    client: &impl GenericClient,
    side: Side,
    layout: &Layout,
) -> Result<Vec<TableName>, MoverError> {
    tables(client, side, layout, APPENDED).await
}

/// The tables of a side that have a fence, and how they are written by its last
/// argument.
pub(crate) async fn declared(
    client: &impl GenericClient,
    side: Side,
    layout: &Layout,
) -> Result<Vec<(TableName, String)>, MoverError> {
    let rows = client
        .query(DECLARED, &[&layout.extraction(), &FENCE_TRIGGER])
        .await
        .map_err(MoverError::sql(side, "looking for fences"))?;
    let declared = |row: &tokio_postgres::Row| {
        let table = TableName {
            schema: row.get(0),
            table: row.get(1),
        };
        let arguments: &[u8] = row.get(2);
        let last = arguments.split(|byte| *byte == 0).nth(3)?;
        Some((table, String::from_utf8_lossy(last).into_owned()))
    };
    Ok(rows.iter().filter_map(declared).collect())
}

async fn tables(
    client: &impl GenericClient,
    side: Side,
    layout: &Layout,
    query: &str,
) -> Result<Vec<TableName>, MoverError> {
    let rows = client
        .query(query, &[&layout.extraction(), &FENCE_TRIGGER])
        .await
        .map_err(MoverError::sql(side, "looking for fences"))?;
    let name = |row: &tokio_postgres::Row| TableName {
        schema: row.get(0),
        table: row.get(1),
    };
    Ok(rows.iter().map(name).collect())
}

/// Fences the tables that have no fence yet: those that have one are not
/// locked again.
pub(crate) async fn put_up<'a>(
    transaction: &Transaction<'_>,
    side: Side,
    layout: &Layout,
    tables: impl Iterator<Item = (&'a TableName, FenceScope)>,
) -> Result<(), MoverError> {
    let wrap = || MoverError::sql(side, "fencing the tables");
    for (name, scope) in tables {
        if !is_fenced(transaction, side, name).await? {
            transaction
                .batch_execute(&layout.create_fence(name, side, scope))
                .await
                .map_err(wrap())?;
        }
    }
    Ok(())
}
